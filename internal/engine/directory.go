package engine

import (
	"cmp"
	"slices"
	"strings"
)

// Directory finds the pool that a model name means: exact names first, then
// aliases, then the most specific wildcard.
type Directory struct {
	names     map[string]*Pool
	aliases   map[string]*Pool
	wildcards []wildcard
	// Default is tried when a pool has no fallback of its own, or when a name
	// means no pool.
	Default []Target
	// ContextFallbacks tells that some pool has a fallback for prompts that are
	// too long, so that the others' normal fallbacks are not used for them.
	ContextFallbacks bool
}

type wildcard struct {
	prefix, suffix string
	pool           *Pool
}

// Add makes pool known under its name and its aliases. A name with a "*"
// stands for every name that has its other parts. Add reports the name that is
// taken already, if one is.
func (d *Directory) Add(pool *Pool, aliases ...string) (taken string, ok bool) {
	if d.names == nil {
		d.names, d.aliases = make(map[string]*Pool), make(map[string]*Pool)
	}
	if !d.add(d.names, pool.Name, pool) {
		return pool.Name, false
	}
	for _, alias := range aliases {
		if !d.add(d.aliases, alias, pool) {
			return alias, false
		}
	}
	return "", true
}

func (d *Directory) add(names map[string]*Pool, name string, pool *Pool) bool {
	if d.names[name] != nil || d.aliases[name] != nil {
		return false
	}
	names[name] = pool
	if prefix, suffix, ok := strings.Cut(name, "*"); ok {
		d.wildcards = append(d.wildcards, wildcard{prefix, suffix, pool})
		slices.SortStableFunc(d.wildcards, func(a, b wildcard) int {
			return cmp.Or(
				cmp.Compare(len(b.prefix)+len(b.suffix), len(a.prefix)+len(a.suffix)),
				cmp.Compare(len(b.prefix), len(a.prefix)))
		})
	}
	return true
}

// Resolve finds the pool for a model name, whoever it is for.
func (d *Directory) Resolve(name string) (Target, bool) {
	return d.resolve(name, func(*Pool) bool { return true })
}

// ResolveFor finds the pool for a model name of a team's request. Pools that
// have nothing for the team are passed over as if they did not exist: a name
// that another team's pool has may still fit a wildcard.
func (d *Directory) ResolveFor(name, team string) (Target, bool) {
	return d.resolve(name, func(p *Pool) bool { return p.Serves(team) })
}

func (d *Directory) resolve(name string, exists func(*Pool) bool) (Target, bool) {
	pool := d.names[name]
	if pool == nil {
		pool = d.aliases[name]
	}
	if pool != nil && exists(pool) && !strings.Contains(name, "*") {
		return Target{Pool: pool, Model: pool.literal(name)}, true
	}
	for _, w := range d.wildcards {
		if len(name) >= len(w.prefix)+len(w.suffix) &&
			strings.HasPrefix(name, w.prefix) && strings.HasSuffix(name, w.suffix) && exists(w.pool) {
			return Target{Pool: w.pool, Model: name, Star: name[len(w.prefix) : len(name)-len(w.suffix)]}, true
		}
	}
	return Target{}, false
}

// literal is the model that an exact name or alias of the pool stands for.
func (p *Pool) literal(name string) string {
	if strings.Contains(p.Name, "*") {
		return name
	}
	return p.Name
}
