package litellm

import (
	"maps"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// finish gives a group's pool its deployments and its own policy.
func (m *models) finish(g *group) {
	g.nameIDs()
	g.rank()
	g.shareWeights()
	g.filterTags()
	for _, d := range g.deployments {
		g.pool.Deployments = append(g.pool.Deployments, d.Deployment)
	}
	p := &g.pool.Policy
	failover := m.cfg.weightedFailover
	if g.orders() > 1 && !failover {
		failover = true
		p.Failover = &failover
	}
	p.Retries = m.retriesOf(g, failover)
	p.Cooldown = m.cooldownOf(g)
	p.Cache = m.cfg.answers.policyOf(g.name)
}

// retriesOf gives what a pool's retries differ in from the router's. LiteLLM
// tries a refused key or a used-up quota again where another deployment of the
// group may have a better one; failover does so by itself.
func (m *models) retriesOf(g *group, failover bool) *upstreams.Retries {
	r := &upstreams.Retries{Classes: make(map[string]int)}
	count := m.cfg.retries
	own, at, same := shared(g, func(d *deployment) *int { return d.retries })
	if !same {
		m.doc.warn(at, "num_retries is not the same in all deployments of %q, which share one; the router's is used", g.name)
	}
	if own != nil {
		count, r.Count = *own, own
		if _, set := m.cfg.retryClasses["timeout"]; !set {
			r.Classes["timeout"] = count
		}
	}
	if len(g.deployments) > 1 && !failover {
		for class, like := range map[string]string{"auth": "auth", "quota": "rate_limit"} {
			n, set := m.cfg.groupClasses[g.name][like]
			if !set {
				n, set = m.cfg.retryClasses[like]
			}
			if !set {
				n = count
			}
			if n > 0 {
				r.Classes[class] = n
			}
		}
	}
	maps.Copy(r.Classes, m.cfg.groupClasses[g.name])
	if r.Count == nil && len(r.Classes) == 0 {
		return nil
	}
	return r
}

// cooldownOf gives what a pool's cooldown differs in from the router's.
func (m *models) cooldownOf(g *group) *upstreams.Cooldown {
	own := m.cfg.cooldown
	differs := false
	if duration, at, same := shared(g, func(d *deployment) *caddy.Duration { return d.cooldown.duration }); !same {
		m.doc.warn(at, "cooldown_time is not the same in all deployments of %q, which share one; the router's is used", g.name)
	} else if duration != nil {
		own.duration, differs = duration, true
	}
	if allowed, at, same := shared(g, func(d *deployment) *int { return d.cooldown.allowed }); !same {
		m.doc.warn(at, "allowed_fails is not the same in all deployments of %q, which share one; the router's is used", g.name)
	} else if allowed != nil {
		own.allowed, differs = allowed, true
	}
	first := g.deployments[0].cooldown.classes
	for _, d := range g.deployments {
		if !maps.Equal(first, d.cooldown.classes) {
			m.doc.warn(d.at, "allowed_fails_policy is not the same in all deployments of %q, which share one; the router's is used", g.name)
			first = nil
			break
		}
	}
	if first != nil {
		own.classes, differs = first, true
	}
	if !differs {
		return nil
	}
	return own.policy()
}

// shared gives the value that all deployments of a group have in common, nil
// when none has one, and the place of the first that differs.
func shared[T comparable](g *group, of func(*deployment) *T) (common *T, at place, same bool) {
	common = of(g.deployments[0])
	for _, d := range g.deployments[1:] {
		own := of(d)
		if (own == nil) != (common == nil) || own != nil && *own != *common {
			return nil, d.at, false
		}
	}
	return common, at, true
}
