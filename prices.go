package llmrouter

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/llmrouter/caddy-llm-router/internal/prices"
)

// readPrices reads the file of prices, if there is one.
func (h *Handler) readPrices() (*prices.Table, error) {
	if h.Prices == "" {
		return nil, nil
	}
	name, err := caddy.NewReplacer().ReplaceOrErr(h.Prices, true, true)
	if err != nil {
		return nil, fmt.Errorf("prices: %w", err)
	}
	table, err := prices.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("prices: %w", err)
	}
	return table, nil
}

// noteUnpriced logs once which deployments the file of prices says nothing of, so
// that nobody takes what they cost for nothing.
func (h *Handler) noteUnpriced() {
	if h.Prices == "" {
		return
	}
	var missing []string
	for _, pool := range h.Pools {
		for _, id := range pool.Unpriced() {
			missing = append(missing, pool.Name+"/"+id)
		}
	}
	if len(missing) > 0 {
		h.logger.Info("deployments without a price; write cost, or base_model with a name that prices has",
			zap.Strings("deployments", missing))
	}
}

// unmarshalPrices takes the name of the file of prices. What is wrong in the file is
// told here already, where the line is known; that it is missing may be different
// where the config is loaded.
func (h *Handler) unmarshalPrices(d *caddyfile.Dispenser, name string) error {
	h.Prices = name
	if strings.Contains(name, "{") {
		return nil
	}
	if _, err := prices.ReadFile(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.Errf("prices: %v", err)
	}
	return nil
}
