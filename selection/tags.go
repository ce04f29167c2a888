package selection

import "slices"

// DefaultTag marks the deployments for requests whose tags fit no deployment.
const DefaultTag = "default"

// TagSet is a request's tags as one pool reads them.
type TagSet struct {
	mode tagMode
	tags []string
}

type tagMode uint8

const (
	anyTag tagMode = iota
	oneOfTags
	defaultTag
	noTag
)

// TagsFor settles how tags choose among candidates, by the rules of LiteLLM's
// tag routing: deployments with one of the request's tags; if the pool has
// none, those tagged "default". A request without tags goes to those tagged
// "default" where there are any, else to all. Tags mean nothing to a pool
// without tagged deployments.
func TagsFor(all []*Candidate, tags []string) TagSet {
	tagged, hasDefault, matched := false, false, false
	for _, c := range all {
		for _, t := range c.Tags {
			tagged = true
			hasDefault = hasDefault || t == DefaultTag
			matched = matched || slices.Contains(tags, t)
		}
	}
	switch {
	case !tagged, len(tags) == 0 && !hasDefault:
		return TagSet{}
	case matched:
		return TagSet{mode: oneOfTags, tags: tags}
	case hasDefault:
		return TagSet{mode: defaultTag}
	}
	return TagSet{mode: noTag}
}

// Match reports whether c may serve a request with these tags.
func (s TagSet) Match(c *Candidate) bool {
	switch s.mode {
	case oneOfTags:
		return slices.ContainsFunc(c.Tags, func(t string) bool { return slices.Contains(s.tags, t) })
	case defaultTag:
		return slices.Contains(c.Tags, DefaultTag)
	case noTag:
		return false
	default:
		return true
	}
}
