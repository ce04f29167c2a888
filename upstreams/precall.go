package upstreams

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/internal/tokenizers"
)

// PreCallChecks keep requests from deployments that are known to be too small for
// them, before they are sent there. Nothing is checked of a deployment that says
// neither `context_window` nor `max_input` nor `max_output`.
type PreCallChecks struct {
	// Send requests whatever their size, in spite of the router's checks.
	// Default: false.
	Off bool `json:"off,omitempty"`

	// What counts the tokens of prompts that are near a limit, on deployments that
	// do not say so themselves: `o200k_base` or `cl100k_base`.
	// Default: `o200k_base`.
	Tokenizer string `json:"tokenizer,omitempty"`
}

func (p *PreCallChecks) validate() error {
	if p == nil {
		return nil
	}
	return validateTokenizer(p.Tokenizer)
}

func validateTokenizer(name string) error {
	if _, ok := tokenizers.ByName(name); !ok && name != "" {
		return fmt.Errorf("there is no tokenizer %q; expected one of: %s", name, strings.Join(tokenizers.Names(), ", "))
	}
	return nil
}

func (p *PreCallChecks) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	var on *bool
	if err := onOff(d, &on); err != nil {
		return err
	}
	p.Off = !*on
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch {
		case d.Val() != "tokenizer":
			return d.Errf("pre_call_checks: unrecognized subdirective '%s'; expected tokenizer", d.Val())
		case p.Tokenizer != "":
			return d.Errf("pre_call_checks: tokenizer is given twice")
		}
		if err := tokenizer(d, &p.Tokenizer); err != nil {
			return err
		}
	}
	return nil
}

func tokenizer(d *caddyfile.Dispenser, into *string) error {
	if err := argument(d, into); err != nil {
		return err
	}
	if err := validateTokenizer(*into); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
