package litellm

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"golang.org/x/net/http/httpguts"
)

// proxy gives the deployment's reverse proxy.
func (d *deployment) proxy() *reverseproxy.Handler {
	if d.ReverseProxy == nil {
		d.ReverseProxy = new(reverseproxy.Handler)
	}
	return d.ReverseProxy
}

// setHeader adds a header to every request to the deployment.
func (d *deployment) setHeader(name, text string) {
	p := d.proxy()
	if p.Headers == nil {
		p.Headers = &headers.Handler{Request: &headers.HeaderOps{Set: make(http.Header)}}
	}
	p.Headers.Request.Set.Set(name, text)
}

// readHeaders reads the headers that LiteLLM adds to requests.
func (d *deployment) readHeaders(e *endpoint, params *section) {
	if e.mock {
		return
	}
	for _, name := range sortedKeys(e.headers) {
		d.setHeader(name, e.headers[name])
	}
	if v, ok := params.take("organization"); ok {
		text, _ := v.resolved()
		d.setHeader("OpenAI-Organization", text)
	}
	for _, key := range []string{"headers", "extra_headers"} {
		for _, v := range params.sub(key).all() {
			text, literal := v.resolved()
			switch {
			case !httpguts.ValidHeaderFieldName(v.key):
				v.fail("is not the name of a header")
			case !httpguts.ValidHeaderFieldValue(text):
				v.fail("is not a value that a header can have")
			default:
				d.setHeader(v.key, text)
			}
			if literal && secretHeader(v.key) {
				v.warn("the key stands in the adapted config; write %s<NAME> and set the variable in Caddy's environment", environPrefix)
			}
		}
	}
}

func secretHeader(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "auth") || strings.Contains(name, "key") || strings.Contains(name, "token") || strings.Contains(name, "secret")
}

// mockFailures are the errors that LiteLLM's mock_response can stand for.
var mockFailures = map[string]map[string]any{
	"litellm.RateLimitError":              {"status": 429, "class": "rate_limit"},
	"litellm.ContextWindowExceededError":  {"status": 400, "class": "context_window"},
	"litellm.InternalServerError":         {"status": 500, "class": "server_error"},
	"Exception: content_filter_policy":    {"status": 400, "class": "content_policy"},
	"litellm.ContentPolicyViolationError": {"status": 400, "class": "content_policy"},
}

// readMock reads mock_response and its relatives; true when there is one.
func (d *deployment) readMock(params *section) bool {
	transport := map[string]any{"protocol": "llm_mock"}
	response, ok := params.take("mock_response")
	if ok {
		if !response.scalar() {
			response.warn("%s cannot be played; the mock's own text is", response.kind())
		} else if failure := mockFailures[response.text()]; failure != nil {
			transport["error"] = failure
		} else if response.text() != "" {
			transport["response"] = response.text()
		}
	}
	if v, has := params.take("mock_timeout"); has && v.boolean() {
		transport["error"], ok = map[string]any{"status": http.StatusGatewayTimeout, "class": "timeout"}, true
	}
	if v, has := params.take("mock_delay"); has {
		transport["latency"] = v.seconds()
	}
	if !ok {
		if _, has := transport["latency"]; has {
			params.values["mock_delay"].warn("has no effect without mock_response")
		}
		return false
	}
	raw, err := json.Marshal(transport)
	if err != nil { // texts and numbers always marshal
		panic(err)
	}
	d.proxy().TransportRaw = raw
	return true
}
