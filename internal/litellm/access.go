package litellm

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

// keyHeaders are where LiteLLM looks for the client's key.
var keyHeaders = []string{"Authorization", "X-Litellm-Api-Key", "Api-Key", "X-Api-Key", "X-Goog-Api-Key"}

// plainKey are those that never carry it as a bearer.
var plainKey = map[string]bool{"Api-Key": true, "X-Api-Key": true, "X-Goog-Api-Key": true}

// guards are the routes that answer clients who may not call.
func (g *general) guards() []object {
	var routes []object
	if len(g.ips) > 0 {
		routes = append(routes, object{
			"match":  []object{{"not": []object{{"remote_ip": object{"ranges": g.ips}}}}},
			"handle": []object{refusal(http.StatusForbidden, "The address that the request comes from may not call.", "ip_not_allowed")},
		})
	}
	if g.key == "" {
		return routes
	}
	return append(routes, object{
		"match":  []object{{"expression": g.unauthorized()}},
		"handle": []object{refusal(http.StatusUnauthorized, "The request carries no valid API key.", "invalid_api_key")},
	})
}

// unauthorized is a CEL expression that holds for requests without the key. A
// key from a variable that is not set lets nobody in, unless it is optional.
func (g *general) unauthorized() string {
	key := g.key
	if g.literal {
		key = celString(g.key)
	}
	var ways []string
	for _, header := range g.headers() {
		sent := "{http.request.header." + header + "}"
		if !plainKey[header] {
			ways = append(ways, fmt.Sprintf(`%s == "Bearer " + %s`, sent, key))
		}
		if header != "Authorization" {
			ways = append(ways, fmt.Sprintf(`%s == %s`, sent, key))
		}
	}
	authorized := strings.Join(ways, " || ")
	switch {
	case g.literal:
		return "!(" + authorized + ")"
	case g.optional:
		return fmt.Sprintf(`%s != "" && !(%s)`, key, authorized)
	}
	return fmt.Sprintf(`%s == "" || !(%s)`, key, authorized)
}

// headers are those in which the key may come, and which are kept from the
// deployments.
func (g *general) headers() []string {
	if g.header == "" || slices.Contains(keyHeaders, g.header) {
		return keyHeaders
	}
	return append([]string{g.header}, keyHeaders...)
}

// celString writes a literal as CEL does, with everything escaped that CEL, or
// Caddy before it, could take for something else.
func celString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// refusal answers with an error in OpenAI's format.
func refusal(status int, message, code string) object {
	body := api.Error{Status: status, Message: message, Code: code}.JSON(api.Chat)
	return object{
		"handler":     "static_response",
		"status_code": status,
		"headers":     http.Header{"Content-Type": {"application/json"}},
		"body":        string(body),
	}
}
