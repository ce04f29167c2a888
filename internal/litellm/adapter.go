// Package litellm is a config adapter: it turns the YAML config of a LiteLLM
// proxy into Caddy's JSON, as it is.
//
//	caddy run --config config.yaml --adapter litellm
//
// Every key is mapped, or named in a warning with its line. What the config
// leaves open has LiteLLM's default. Differences that remain:
//
//   - LiteLLM moves from order to order even without enable_weighted_failover.
//     The router has one switch for both, so failover is on in pools with
//     several orders, and there also covers deployments of one order.
//   - LiteLLM tries rpm and tpm only as weights unless it is told to enforce
//     them; here they are limits too.
//   - LiteLLM falls back on bad requests, and on filtered content when
//     content_policy_fallbacks is missing. Here a bad request is returned, and
//     filtered content only goes to content_policy_fallbacks.
//   - LiteLLM translates between wire formats. Here a deployment gets the path
//     and the body that the client sent, so its server has to speak the client's.
//   - An api_base is continued with the client's path without /v1, as LiteLLM
//     does it: http://gpu-1:8000 leads to /chat/completions there. Paths of
//     Azure's clients, /openai/deployments/<model>/..., lose what is before the
//     endpoint; the model is the one in the body.
//   - LiteLLM takes prices that the config leaves out from its own list, and
//     expects the most where that has none. Here such a deployment comes last.
//   - LiteLLM's Redis knows when to leave deployments out, and what was used of
//     them, for its own strategies. Here all strategies use both, and health
//     checks too, under keys of its own.
//   - LiteLLM never shows a client's credentials to a provider. The adapted
//     config removes them before the router.
package litellm

import (
	"errors"
	"os"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

func init() {
	caddyconfig.RegisterAdapter("litellm", Adapter{})
}

// Adapter adapts LiteLLM proxy configs to Caddy JSON.
type Adapter struct{}

// Adapt implements caddyconfig.Adapter. The option filename is the file that
// warnings and errors name.
func (Adapter) Adapt(body []byte, options map[string]any) ([]byte, []caddyconfig.Warning, error) {
	file, _ := options["filename"].(string)
	if file == "" {
		file = "config.yaml"
	}
	doc := &document{file: file, getenv: os.Getenv}
	adapted := doc.adapt(body)
	if len(doc.problems) > 0 {
		return nil, doc.sorted(), errors.Join(doc.problems...)
	}
	return adapted, doc.sorted(), nil
}

// adapt gives the adapted config; it means nothing when there are problems.
func (doc *document) adapt(body []byte) []byte {
	root := doc.parse(body)
	if root == nil {
		return nil
	}
	doc.readVariables(root)
	general := readGeneral(root)
	cfg := readSettings(root)
	models := readModels(root, cfg)
	root.rest(unsupportedTop)
	if len(doc.problems) > 0 { // what is missing because of them would be a problem too
		return nil
	}
	router := models.handler(models.pools())
	doc.warnVariables()
	if len(doc.problems) > 0 {
		return nil
	}
	return output(general, router, cfg.redis)
}

// Interface guard
var _ caddyconfig.Adapter = Adapter{}
