package wholepath

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// What requests may set for themselves, and what becomes of it when they may
// not: fields, their removal, and fallbacks.

const allClientOptions = "client_options fallbacks retries timeout tags priority mock_testing"

// optionFields are fields of the body by the option that covers them, with
// values that would change the request's way.
var optionFields = map[string][]string{
	"fallbacks": {
		`"fallbacks":["nope"]`, `"context_window_fallbacks":["nope"]`, `"content_policy_fallbacks":[{"p":["nope"]}]`, `"disable_fallbacks":true`,
	},
	"retries":  {`"num_retries":0`},
	"timeout":  {`"timeout":1e-9`, `"request_timeout":1e-9`, `"stream_timeout":1e-9`},
	"tags":     {`"tags":["nope"]`},
	"priority": {`"priority":7`},
	"mock_testing": {
		`"mock_testing_fallbacks":true`, `"mock_testing_context_fallbacks":true`, `"mock_testing_context_window_fallbacks":true`,
		`"mock_testing_content_policy_fallbacks":true`, `"mock_testing_rate_limit_error":true`, `"mock_timeout":true`,
	},
}

// four is the pool p, also known as nick, which falls back to q; r, which nobody
// falls back to; and hidden, which is the team red's.
type four struct{ p, q, r, hidden *scripted.Upstream }

func newFour(t *testing.T, policy string) (*caddyharness.Server, four) {
	t.Helper()
	f := four{scripted.New(t), scripted.New(t), scripted.New(t), scripted.New(t)}
	return routerWith(t, fmt.Sprintf(`
		team {http.request.header.X-Team}
		cooldown off
		%s
		pool p nick {
			deployment a %s {
				api_key routers
			}
			fallback q
		}
		pool q {
			deployment b %s
		}
		pool r {
			deployment c %s
		}
		pool hidden {
			deployment d %s {
				team red
			}
		}`, policy, f.p.URL, f.q.URL, f.r.URL, f.hidden.URL)), f
}

// with is a request for pool p with more fields.
func with(fields string) string {
	return `{"model":"p",` + fields + `,"messages":[{"role":"user","content":"Hi"}]}`
}

func TestClientOptionsThatAreNotAllowed(t *testing.T) {
	for option, fields := range optionFields {
		others := strings.Replace(allClientOptions, " "+option, "", 1)
		for name, policy := range map[string]string{"none at all": "", "others": others} {
			t.Run(option+" where allowed are "+name, func(t *testing.T) {
				a := scripted.New(t)
				s := routerWith(t, alone(a, policy))
				for _, field := range append(fields, fields[0][:strings.Index(fields[0], ":")]+`:"of a wrong type"`) {
					body := with(field)
					ask(t, s, chatPath, body).served(t, "ok", "a", 1, 0)
					if got := string(a.Last(t).Body); got != body {
						t.Errorf("upstream got %s, want it untouched: %s", got, body)
					}
				}
			})
		}
	}
}

func TestClientOptionsHeadersThatAreNotAllowed(t *testing.T) {
	a := scripted.New(t).Always(scripted.Error(500, "", "", "down"))
	s := routerWith(t, alone(a, "client_options fallbacks mock_testing\nretries 1 {\n backoff 1ms 2ms\n budget 100% 100\n}"))
	for name, value := range map[string]string{
		"X-Litellm-Num-Retries": "3", "X-Litellm-Timeout": "1e-9", "X-Litellm-Stream-Timeout": "1e-9", "X-Litellm-Tags": "nope",
	} {
		before := a.Count()
		ask(t, s, chatPath, streamed, name, value).by(t, "a", 2, 0)
		if n := a.Count() - before; n != 2 {
			t.Errorf("%s: got %d attempts, want the configured 2", name, n)
		}
		if got := a.Last(t).Header.Get(name); got != value {
			t.Errorf("%s: upstream got %q, want %q", name, got, value)
		}
	}
}

func TestClientOptionsAreTakenOut(t *testing.T) {
	values := strings.NewReplacer("nope", "r", "1e-9", "60", ":true", ":false")
	s, f := newFour(t, allClientOptions)
	for _, fields := range optionFields {
		for _, field := range fields {
			field = values.Replace(field)
			name, _, _ := strings.Cut(field, ":")
			t.Run(strings.Trim(name, `"`), func(t *testing.T) {
				for where, body := range map[string][2]string{
					"first":  {`{` + field + `, "model":"p","n":1}`, `{ "model":"p","n":1}`},
					"middle": {`{"model":"p", ` + field + ` ,"x":{` + field + `}}`, `{"model":"p", "x":{` + field + `}}`},
					"last":   {`{"model":"p","n": 1 , ` + field + ` }`, `{"model":"p","n": 1 }`},
					"twice":  {`{` + field + `,"model":"p",` + field + `}`, `{"model":"p"}`},
				} {
					ask(t, s, chatPath, body[0]).served(t, "ok", "a", 1, 0)
					if got := string(f.p.Last(t).Body); got != body[1] {
						t.Errorf("%s: upstream got %s, want %s", where, got, body[1])
					}
				}
			})
		}
	}
	t.Run("all at once", func(t *testing.T) {
		var all []string
		for _, fields := range optionFields {
			all = append(all, fields...)
		}
		ask(t, s, chatPath, with(values.Replace(strings.Join(all, ","))))
		if got := string(f.p.Last(t).Body); got != plain {
			t.Errorf("upstream got %s, want %s", got, plain)
		}
	})
	t.Run("but not tags in metadata", func(t *testing.T) {
		body := with(`"metadata":{"tags":["x"],"user_id":"me"}`)
		ask(t, s, chatPath, body)
		if got := string(f.p.Last(t).Body); got != body {
			t.Errorf("upstream got %s, want %s", got, body)
		}
	})
}

// badRequest is what no deployment would accept.
var badRequest = scripted.Error(400, "invalid_request_error", "", "messages: must not be empty")

func TestClientFallbacksOverrideThePools(t *testing.T) {
	s, f := newFour(t, allClientOptions+"\nretries 0\ntimeout 200ms")
	for name, step := range map[string]scripted.Step{
		"connection":     scripted.ResetBeforeHeaders(),
		"timeout":        scripted.Hang(),
		"rate_limit":     scripted.Error(429, "", "", "slow down"),
		"quota":          scripted.Error(402, "", "", "no credit"),
		"auth":           scripted.Error(401, "", "", "wrong key"),
		"not_found":      scripted.Error(404, "", "model_not_found", "The model does not exist"),
		"overloaded":     scripted.Error(503, "", "", "busy"),
		"server_error":   scripted.Error(500, "", "", "down"),
		"context_window": tooLong,
		"content_policy": filtered,
	} {
		t.Run(name, func(t *testing.T) {
			f.p.Always(step)
			ask(t, s, chatPath, with(`"fallbacks":["r"]`)).served(t, "ok", "c", 2, 1)
		})
	}
	t.Run("but not for a bad request", func(t *testing.T) {
		f.p.Always(badRequest)
		g := ask(t, s, chatPath, with(`"fallbacks":["r"]`))
		g.by(t, "a", 1, 0)
		if g.status != 400 || !strings.Contains(g.body, "must not be empty") {
			t.Errorf("got %d %s, want the upstream's refusal", g.status, g.body)
		}
	})
	counts(t, "b of the pool's own fallback", f.q, 0)
}

func TestClientFallbacksInEveryForm(t *testing.T) {
	s, f := newFour(t, allClientOptions+"\nretries 0")
	f.p.Always(scripted.Error(500, "", "", "down"))
	for _, tt := range []struct{ name, model, fallbacks, deployment string }{
		{"names", "p", `["r","q"]`, "c"},
		{"objects with a model", "p", `[{"model":"r"},"q"]`, "c"},
		{"lists by model", "p", `[{"other":["q"]},{"p":["r","q"]}]`, "c"},
		{"lists by an alias", "nick", `[{"nick":["r"]}]`, "c"},
		{"lists by the name of an alias", "nick", `[{"p":["r"]}]`, "c"},
		{"a list for every model", "p", `[{"*":["r"]}]`, "c"},
		{"one for the model before one for every", "p", `[{"*":["q"]},{"p":["r"]}]`, "c"},
		{"the pool itself is passed over", "p", `["p","nick","r"]`, "c"},
		{"null is not set", "p", `null`, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := ask(t, s, chatPath, fmt.Sprintf(`{"model":%q,"fallbacks":%s}`, tt.model, tt.fallbacks))
			g.served(t, "ok", tt.deployment, 2, 1)
		})
	}
	for name, fallbacks := range map[string]string{"an empty list": `[]`, "lists by other models": `[{"other":["r"]}]`, "the pool itself": `["p"]`} {
		t.Run(name+" is nowhere to go", func(t *testing.T) {
			if g := ask(t, s, chatPath, with(`"fallbacks":`+fallbacks)); g.status != 500 {
				t.Errorf("got %d %s, want the upstream's 500", g.status, g.body)
			} else {
				g.by(t, "a", 1, 0)
			}
		})
	}
	t.Run("in their order", func(t *testing.T) {
		f.r.Then(scripted.Error(500, "", "", "down"))
		ask(t, s, chatPath, with(`"fallbacks":["r","q"]`)).served(t, "ok", "b", 3, 2)
	})
	t.Run("not with X-LLM-Fallback: off", func(t *testing.T) {
		ask(t, s, chatPath, with(`"fallbacks":["r"]`), "X-LLM-Fallback", "off").by(t, "a", 1, 0)
	})
}

// A fallback of another team's is refused in the words for one that does not
// exist.
func TestClientFallbacksThatDoNotExist(t *testing.T) {
	s, f := newFour(t, allClientOptions)
	for _, field := range []string{"fallbacks", "context_window_fallbacks", "content_policy_fallbacks"} {
		t.Run(field, func(t *testing.T) {
			var texts []string
			for _, name := range []string{"nope", "hidden"} {
				g := ask(t, s, chatPath, with(fmt.Sprintf(`%q:["r",%q]`, field, name)), "X-Team", "blue")
				g.refused(t, http.StatusBadRequest, field, "")
				if !strings.Contains(g.field("error.message"), name) {
					t.Errorf("got %s, want it to name %s", g.body, name)
				}
				texts = append(texts, strings.ReplaceAll(g.body, name, "X"))
				if pool := g.header.Get("X-LLM-Pool"); pool != "" {
					t.Errorf("got X-LLM-Pool %q, want none", pool)
				}
			}
			if texts[0] != texts[1] {
				t.Errorf("got %s for another team's pool, want %s as for none", texts[1], texts[0])
			}
		})
	}
	counts(t, "a", f.p, 0)
	g := ask(t, s, messagesPath, with(`"fallbacks":["nope"]`))
	if g.status != 400 || g.field("type") != "error" || g.field("error.type") != "invalid_request_error" {
		t.Errorf("got %d %s, want 400 as Anthropic writes it", g.status, g.body)
	}
	f.p.Always(scripted.Error(500, "", "", "down"))
	ask(t, s, chatPath, with(`"fallbacks":["hidden"],"num_retries":0`), "X-Team", "red").served(t, "ok", "d", 2, 1)
}

func TestClientDisablesFallbacks(t *testing.T) {
	down := scripted.Error(500, "", "", "down")
	a, a2, b := scripted.New(t).Always(down), scripted.New(t), scripted.New(t)
	s := routerWith(t, fmt.Sprintf(`
		client_options fallbacks
		retries 0
		default_fallback q
		pool p {
			deployment a %s
			deployment a2 %s {
				order 2
			}
			fallback q
		}
		pool q {
			deployment b %s
		}`, a.URL, a2.URL, b.URL))
	ask(t, s, chatPath, with(`"disable_fallbacks":true`)).served(t, "ok", "a2", 2, 0) // failover is none
	a2.Always(down)
	ask(t, s, chatPath, with(`"disable_fallbacks":true`)).by(t, "a2", 2, 0)
	ask(t, s, chatPath, with(`"disable_fallbacks":true,"fallbacks":["q"],"context_window_fallbacks":["q"]`)).by(t, "a2", 2, 0)
	counts(t, "b", b, 0)
	ask(t, s, chatPath, with(`"disable_fallbacks":false`)).served(t, "ok", "b", 3, 1)
}

func TestClientFallbacksForOneKindOfFailure(t *testing.T) {
	s, f := newFour(t, allClientOptions+"\nretries 0")
	for _, tt := range []struct {
		name, fields string
		step         scripted.Step
		deployment   string
		fallbacks    int
	}{
		{"a long prompt", `"context_window_fallbacks":["r"]`, tooLong, "c", 1},
		{"a long prompt, by model", `"context_window_fallbacks":[{"p":["r"]}]`, tooLong, "c", 1},
		{"a filtered prompt", `"content_policy_fallbacks":["r"]`, filtered, "c", 1},
		{"a filtered prompt without one", `"context_window_fallbacks":["r"]`, filtered, "a", 0},
		{"another failure", `"context_window_fallbacks":["r"],"content_policy_fallbacks":["r"]`, scripted.Error(500, "", "", "down"), "b", 1},
		{"fallbacks are for every failure", `"fallbacks":["r"],"context_window_fallbacks":["q"]`, tooLong, "c", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.p.Always(tt.step)
			ask(t, s, chatPath, with(tt.fields)).by(t, tt.deployment, 1+tt.fallbacks, tt.fallbacks)
		})
	}
}

func TestClientOptionsOfWrongTypes(t *testing.T) {
	s, f := newFour(t, allClientOptions)
	long := strings.Repeat(`"r",`, 40) + `"r"`
	for field, values := range map[string][]string{
		"fallbacks": {
			`"r"`, `1`, `{}`, `[1]`, `[null]`, `[""]`, `[["r"]]`, `[{}]`, `[{"model":1}]`, `[{"model":"r","temperature":1}]`, `[{"p":"r"}]`,
			`[{"p":[""]}]`, `["a\nb"]`, `[` + long + `]`, `["` + strings.Repeat("x", 5000) + `"]`,
			`[` + strings.Repeat(`{"p":["r","r"]},`, 20) + `"r"]`,
		},
		"context_window_fallbacks": {`"r"`, `[{"p":null}]`},
		"content_policy_fallbacks": {`true`, `[{"p":{}}]`},
		"disable_fallbacks":        {`"true"`, `1`},
		"num_retries":              {`-1`, `1.5`, `"2"`, `true`, `99999999999999999999`},
		"timeout":                  {`0`, `-1`, `"5"`, `1e300`, `NaN`, `[]`},
		"request_timeout":          {`{}`},
		"stream_timeout":           {`false`},
		"tags":                     {`"a"`, `{}`, `[1]`, `[` + long + `]`},
		"priority":                 {`"1"`, `1.5`, `1e3`, `true`, `[1]`, `1000001`, `-1000001`, `99999999999999999999`},
		"mock_testing_fallbacks":   {`1`, `"true"`},
		"mock_timeout":             {`[]`},
	} {
		t.Run(field, func(t *testing.T) {
			for _, value := range values {
				g := ask(t, s, chatPath, with(fmt.Sprintf(`%q:%s`, field, value)))
				if g.refused(t, http.StatusBadRequest, field, ""); !strings.Contains(g.field("error.message"), field) || len(g.body) > 1000 {
					t.Errorf("%.60s: got %.200s, want a message that names %s", value, g.body, field)
				}
			}
		})
	}
	counts(t, "a", f.p, 0)
	t.Run("in headers are not read", func(t *testing.T) {
		for _, name := range []string{"X-Litellm-Num-Retries", "X-Litellm-Timeout", "X-Litellm-Stream-Timeout"} {
			for _, value := range []string{"", "x", "-1", "NaN", "1e400"} {
				ask(t, s, chatPath, streamed, name, value).by(t, "a", 1, 0)
			}
		}
	})
}

// The parts of a form are the model server's alone.
func TestClientOptionsInFormsAreNotRead(t *testing.T) {
	a, b := scripted.New(t), scripted.New(t)
	s := routerWith(t, withFallback(a, b, allClientOptions))
	contentType, body := form(t, "model", "p", "fallbacks", `["nope"]`, "mock_testing_fallbacks", "true", "num_retries", "x", "tags", "y")
	g := send(t, s, http.MethodPost, "/v1/audio/transcriptions", contentType, strings.NewReader(body), "X-Litellm-Timeout", "1e-9")
	g.served(t, "ok", "a", 1, 0)
	if got := string(a.Last(t).Body); got != body {
		t.Errorf("upstream got the form %q, want it untouched: %q", got, body)
	}
}
