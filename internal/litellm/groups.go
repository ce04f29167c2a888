package litellm

import "strings"

// rank puts deployments without an order behind those that have one: LiteLLM
// does not use them as long as any of the others is left.
func (g *group) rank() {
	last := -1
	for _, d := range g.deployments {
		if d.Order != nil {
			last = max(last, *d.Order)
		}
	}
	if last < 0 {
		return
	}
	for _, d := range g.deployments {
		if d.Order == nil {
			behind := last + 1
			d.Order = &behind
		}
	}
}

// orders is the number of different orders.
func (g *group) orders() int {
	orders := make(map[int]bool)
	for _, d := range g.deployments {
		order := 1
		if d.Order != nil {
			order = *d.Order
		}
		orders[order] = true
	}
	return len(orders)
}

// shareWeights gives deployments without a weight the weight 0 when another of
// the group has one, as LiteLLM does: they are standbys.
func (g *group) shareWeights() {
	weighted := false
	for _, d := range g.deployments {
		weighted = weighted || d.Weight != nil && *d.Weight > 0
	}
	for _, d := range g.deployments {
		if weighted && d.Weight == nil {
			d.Weight = new(float64)
		}
	}
}

// filterTags takes tags off deployments where LiteLLM would not look at them.
func (g *group) filterTags() {
	filter := false
	for _, d := range g.deployments {
		filter = filter || d.tagFilter
	}
	for _, d := range g.deployments {
		if d.Tags == nil {
			continue
		}
		if !filter {
			d.tags.warn("have no effect, because enable_tag_filtering is not set")
			d.Tags = nil
		}
		for _, tag := range d.Tags {
			if strings.HasPrefix(tag, "!") || strings.HasPrefix(tag, "&") {
				d.tags.warn("%q is taken as it is: a tag that excludes or requires has no counterpart", tag)
			}
		}
	}
}
