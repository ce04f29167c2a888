package prices

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// entry is what a table says of a model, as far as it is of use here.
type entry struct {
	Input     json.RawMessage `json:"input_cost_per_token"`
	Output    json.RawMessage `json:"output_cost_per_token"`
	CacheRead json.RawMessage `json:"cache_read_input_token_cost"`
	MaxInput  json.RawMessage `json:"max_input_tokens"`
	MaxOutput json.RawMessage `json:"max_output_tokens"`
}

const (
	// maxPrice is more than any token costs, in US$.
	maxPrice = 1e6
	// maxTokens is more than any model reads or writes.
	maxTokens = math.MaxInt32
)

func (e *entry) model() (m Model, err error) {
	var input, output, cached *float64
	for _, price := range []struct {
		key  string
		raw  json.RawMessage
		into **float64
	}{
		{"input_cost_per_token", e.Input, &input},
		{"output_cost_per_token", e.Output, &output},
		{"cache_read_input_token_cost", e.CacheRead, &cached},
	} {
		if *price.into, err = number(price.key, price.raw, maxPrice); err != nil {
			return m, err
		}
	}
	for _, limit := range []struct {
		key  string
		raw  json.RawMessage
		into *int
	}{
		{"max_input_tokens", e.MaxInput, &m.MaxInput},
		{"max_output_tokens", e.MaxOutput, &m.MaxOutput},
	} {
		n, err := number(limit.key, limit.raw, maxTokens)
		if err != nil {
			return m, err
		}
		if n != nil {
			*limit.into = int(*n)
		}
	}
	if input == nil && output == nil { // such as what is paid for by the picture
		return m, nil
	}
	m.Priced = true
	if input != nil {
		m.Price.Input = PerMillion(*input)
	}
	if output != nil {
		m.Price.Output = PerMillion(*output)
	}
	if cached != nil {
		m.Price.CachedAt(PerMillion(*cached))
	}
	return m, nil
}

// number reads a number that may be written as a text; nil is none.
func number(key string, raw json.RawMessage, most float64) (*float64, error) {
	text := string(raw)
	if text == "" || text == "null" {
		return nil, nil
	}
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case n > most: // also where it is beyond all numbers
		return nil, fmt.Errorf("%s is too large: %.40s", key, text)
	case err != nil, math.IsNaN(n):
		return nil, fmt.Errorf("%s: expected a number, got %.40s", key, text)
	case n < 0:
		return nil, fmt.Errorf("%s is negative: %.40s", key, text)
	}
	return &n, nil
}

// PerMillion makes the price of a million tokens of that of one. Twelve digits take
// away what binary fractions add, and nothing that people write: 0.0000025 is 2.5.
func PerMillion(price float64) float64 {
	n, err := strconv.ParseFloat(strconv.FormatFloat(price*1e6, 'g', 12, 64), 64)
	if err != nil { // a number that was written is one
		panic(err)
	}
	return n
}
