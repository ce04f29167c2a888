package upstreams

import (
	"cmp"
	"errors"
	"strings"

	"github.com/llmrouter/caddy-llm-router/internal/prices"
	"github.com/llmrouter/caddy-llm-router/internal/tokenizers"
	"github.com/llmrouter/caddy-llm-router/selection"
)

func (d *Deployment) validateCapacity() error {
	switch {
	case d.ContextWindow < 0, d.MaxInput < 0, d.MaxOutput < 0:
		return errors.New("context_window, max_input or max_output is negative")
	}
	return validateTokenizer(d.Tokenizer)
}

// describe tells the candidate what the deployment costs and holds: as it says
// itself, else as the table has it of its model.
func (d *Deployment) describe(c *selection.Candidate, pool string, checks *PreCallChecks, table *prices.Table) {
	listed, _ := table.Lookup(d.listedAs(pool))
	c.Price = d.Cost.price()
	if c.Price == nil && listed.Priced {
		c.Price = &listed.Price
	}
	c.ContextWindow, c.MaxInput = d.ContextWindow, d.MaxInput
	if d.ContextWindow == 0 && d.MaxInput == 0 {
		c.MaxInput = listed.MaxInput
	}
	if checks == nil {
		checks = new(PreCallChecks)
	}
	if checks.Off {
		return
	}
	c.MaxOutput = cmp.Or(d.MaxOutput, listed.MaxOutput)
	if c.Window() > 0 {
		t, _ := tokenizers.ByName(cmp.Or(d.Tokenizer, checks.Tokenizer, tokenizers.Default)) // validated
		c.Tokenizer = t
	}
}

// listedAs is the name under which a table has the deployment's model; empty where
// that is another from request to request.
func (d *Deployment) listedAs(pool string) string {
	name := cmp.Or(d.BaseModel, d.Model, pool)
	if strings.Contains(name, "*") {
		return ""
	}
	return name
}

// Unpriced are the deployments of the pool of which it is not known what they cost.
func (p *Pool) Unpriced() []string {
	var ids []string
	for _, d := range p.Deployments {
		if d.candidate.Price == nil {
			ids = append(ids, d.ID)
		}
	}
	return ids
}
