package litellm

import (
	"net/http"
	"strings"
)

// readKey reads the key, or takes the variable that LiteLLM would.
func (m *models) readKey(d *deployment, e *endpoint, params *section) {
	v, ok := params.take("api_key")
	if !ok {
		if v, ok = params.take("azure_ad_token"); ok {
			e.bearer = true
		}
	}
	switch {
	case e.mock:
		return
	case ok && v.scalar() && v.text() == "":
		return
	case ok:
		text, literal := v.resolved()
		d.APIKey = text
		if literal && !strings.EqualFold(text, "none") {
			v.warnOfSecret("key")
		}
		if literal && strings.EqualFold(text, "none") {
			d.APIKey = ""
		}
	case params.usesEntraID():
	case len(e.keys) > 0 && (!e.noKey || m.doc.has(e.keys[0])):
		d.APIKey = m.doc.firstSet(e.keys)
	}
	if d.APIKey != "" && !e.bearer && e.header != "" {
		d.APIKeyHeader = http.CanonicalHeaderKey(e.header)
	}
}

// usesEntraID fails when a deployment has Azure's identities in place of a key.
func (s *section) usesEntraID() bool {
	for _, key := range []string{"client_secret", "client_id", "azure_scope"} {
		if v, ok := s.take(key); ok {
			v.fail("signing in to Azure is not available here; use api_key, or azure_ad_token with a token that something else renews")
			return true
		}
	}
	return false
}
