package litellm

import "strings"

// readAliases reads model_group_alias. An alias wins over a group of the same
// name, which then only has the aliases that lead to it.
func (m *models) readAliases() {
	aliased := m.cfg.aliases.all()
	type found struct {
		name string
		to   *group
	}
	var all []found
	for _, v := range aliased {
		to, ok := v.aliasTarget()
		if !ok {
			continue
		}
		if to.text() == v.key {
			v.warn("is the model group's own name")
			continue
		}
		g := m.find(to.text(), v.at)
		if g == nil {
			to.fail("there is no model group %q", to.text())
			continue
		}
		if strings.Contains(v.key, "*") {
			v.fail("an alias has no *")
			continue
		}
		all = append(all, found{v.key, g})
	}
	for _, a := range all {
		if hidden := m.byName[a.name]; hidden != nil {
			hidden.public = ""
		}
	}
	for _, a := range all {
		if a.to.public == "" {
			a.to.public = a.name
		} else {
			a.to.aliases = append(a.to.aliases, a.name)
		}
	}
}

// aliasTarget reads what an alias stands for: a name, or an object with one.
func (v value) aliasTarget() (value, bool) {
	if v.scalar() {
		return v, true
	}
	object := v.section()
	to, ok := object.take("model")
	if !ok {
		v.fail("expected the name of a model group, got %s", v.kind())
		return v, false
	}
	if object.on("hidden") {
		object.values["hidden"].warn("has no counterpart: the alias is in the list of models")
	}
	object.rest()
	return to, true
}

// find gives the group of a name; for a name that only a wildcard serves, a
// group of its own with the wildcard's deployments.
func (m *models) find(name string, at place) *group {
	if g := m.byName[name]; g != nil {
		return g
	}
	wildcard, star := m.wildcard(name)
	if wildcard == nil {
		return nil
	}
	g := m.group(name, at)
	for _, d := range wildcard.deployments {
		named := *d.Deployment
		named.Model = strings.Replace(named.Model, "*", star, 1)
		own := *d
		own.Deployment = &named
		g.deployments = append(g.deployments, &own)
		if d.rpm || d.tpm || d.MaxParallel > 0 {
			m.doc.warn(at, "the limits of the deployments of %q count for %q by themselves", wildcard.name, name)
		}
	}
	return g
}

// wildcard gives the most specific wildcard group that serves a name, and what
// its * stands for.
func (m *models) wildcard(name string) (best *group, star string) {
	for _, g := range m.groups {
		prefix, suffix, ok := strings.Cut(g.name, "*")
		if !ok || len(name) < len(prefix)+len(suffix) || !strings.HasPrefix(name, prefix) || !strings.HasSuffix(name, suffix) {
			continue
		}
		if best == nil || len(g.name) > len(best.name) {
			best, star = g, name[len(prefix):len(name)-len(suffix)]
		}
	}
	return best, star
}
