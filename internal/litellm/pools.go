package litellm

import (
	"slices"
	"strings"

	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// pools turns the groups into pools, with what the router's settings say of
// them.
func (m *models) pools() []*upstreams.Pool {
	m.readAliases()
	m.applyGroups("model_group_retry_policy")
	targets := []struct {
		list *fallbacks
		set  func(*upstreams.Policy, []string)
	}{
		{m.cfg.fallbacks, func(p *upstreams.Policy, names []string) { p.Fallback = names }},
		{m.cfg.contextWindow, func(p *upstreams.Policy, names []string) { p.ContextWindowFallback = names }},
		{m.cfg.contentPolicy, func(p *upstreams.Policy, names []string) { p.ContentPolicyFallback = names }},
	}
	for _, t := range targets {
		m.ownGroups(t.list)
	}
	for _, g := range m.groups {
		g.pool = &upstreams.Pool{Name: g.public, Aliases: g.aliases}
	}
	for _, t := range targets {
		for _, g := range m.groups {
			t.set(&g.pool.Policy, m.fallbacksOf(g, t.list))
		}
	}
	pools := make([]*upstreams.Pool, 0, len(m.groups))
	for _, g := range m.groups {
		if g.public == "" {
			m.doc.warn(g.at, "the model group %q is left out, because an alias has its name and nothing else leads to it", g.name)
			continue
		}
		m.finish(g)
		pools = append(pools, g.pool)
	}
	return pools
}

// ownGroups makes groups for names that have fallbacks of their own and that
// only a wildcard serves.
func (m *models) ownGroups(list *fallbacks) {
	for _, key := range list.keys {
		if key.key == anyGroup || m.served(key.key) {
			continue
		}
		if m.find(key.key, key.at) == nil {
			key.warn("there is no model group %q, so that its fallbacks are never used", key.key)
		}
	}
}

// served tells whether fallbacks under a name reach a group, also one that
// carries a provider before that name.
func (m *models) served(name string) bool {
	return slices.ContainsFunc(m.groups, func(g *group) bool { return g.name == name || withoutProvider(g.name) == name })
}

// withoutProvider gives a name without a provider's prefix.
func withoutProvider(name string) string {
	prefix, rest, ok := strings.Cut(name, "/")
	if _, known := providers[prefix]; ok && (known || foreign[prefix]) {
		return rest
	}
	return name
}

// fallbacksOf gives the pools that a group falls back to by its own entry.
func (m *models) fallbacksOf(g *group, list *fallbacks) []string {
	key := g.name
	if _, ok := list.targets[key]; !ok || key == anyGroup {
		key = withoutProvider(g.name)
	}
	if key == anyGroup {
		return nil
	}
	return m.names(list.targets[key], g)
}

// names resolves the targets of a list. A group itself is not its own fallback.
func (m *models) names(targets []target, of *group) []string {
	var names []string
	for _, t := range targets {
		name, ok := m.targetName(t.name)
		switch {
		case !ok:
			t.at.fail("there is no model group %q to fall back to", t.name)
		case of != nil && name == of.public:
			t.at.warn("is the model group itself, and is left out")
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	return names
}

// targetName gives the name by which the router finds what a fallback means,
// in which an alias wins over a group of the same name.
func (m *models) targetName(name string) (string, bool) {
	for _, g := range m.groups {
		if g.public == name || slices.Contains(g.aliases, name) {
			if strings.Contains(name, "*") {
				return "", false
			}
			return g.public, true
		}
	}
	wildcard, _ := m.wildcard(name)
	return name, wildcard != nil && wildcard.public != ""
}

// defaults gives the fallbacks of every group without one of its own.
func (m *models) defaults(list *fallbacks) []string { return m.names(list.targets[anyGroup], nil) }

// applyGroups warns about groups that a policy names and that are not there.
func (m *models) applyGroups(path string) {
	for _, name := range sortedKeys(m.cfg.groupClasses) {
		if m.find(name, m.cfg.groupPlaces[name]) == nil {
			m.doc.warn(m.cfg.groupPlaces[name], "there is no model group %q, so that its %s is never used", name, path)
		}
	}
}
