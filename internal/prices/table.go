// Package prices reads tables of what models cost and how long their prompts and
// answers may be, in the format that LiteLLM publishes its own in.
package prices

import (
	"maps"
	"strings"

	"github.com/llmrouter/caddy-llm-router/selection"
)

// Model is what a table says of a model.
type Model struct {
	// Price is what its tokens cost, when Priced.
	Price  selection.Price
	Priced bool
	// MaxInput and MaxOutput are how long its prompts and answers may be, in tokens; 0
	// is unknown. How long they may be together is not in the table.
	MaxInput, MaxOutput int
}

// Table is what is known of models by their names. A nil Table knows none. It is
// safe for concurrent use.
type Table struct {
	models map[string]Model
	// bare are the models by what follows their provider, where that is one model, or
	// several of which the same is known.
	bare map[string]Model
}

func newTable(models map[string]Model) *Table {
	t := &Table{models: models, bare: make(map[string]Model)}
	ambiguous := make(map[string]bool)
	for name, model := range models {
		_, bare, ok := strings.Cut(name, "/")
		if !ok {
			continue
		}
		if other, taken := t.bare[bare]; taken && other != model {
			ambiguous[bare] = true
		}
		t.bare[bare] = model
	}
	maps.DeleteFunc(t.bare, func(bare string, _ Model) bool { return ambiguous[bare] })
	return t
}

// Lookup finds a model by its name: as it stands, else without the provider before
// its first slash, else with whichever provider the table has it of. Of providers
// that differ in what they say of it none is taken.
func (t *Table) Lookup(name string) (Model, bool) {
	if t == nil {
		return Model{}, false
	}
	if model, ok := t.models[name]; ok {
		return model, true
	}
	if _, bare, ok := strings.Cut(name, "/"); ok {
		if model, ok := t.models[bare]; ok {
			return model, true
		}
		return Model{}, false
	}
	model, ok := t.bare[name]
	return model, ok
}
