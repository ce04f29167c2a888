package upstreams

import (
	"io"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
)

func TestUsageIsAskedForWhereTheClientDoesNot(t *testing.T) {
	for name, tt := range map[string]struct {
		path, body string
		off        bool
		want       string // default: the body as it was
		hidden     bool
	}{
		"chat":                    {body: `{"stream":true}`, want: `{"model":"gpt-4o","stream_options":{"include_usage":true},"stream":true}`, hidden: true},
		"completions":             {path: "/v1/completions", body: `{"stream":true,"model":"gpt-4o"}`, want: `{"stream_options":{"include_usage":true},"stream":true,"model":"gpt-4o"}`, hidden: true},
		"other options":           {body: `{"model":"gpt-4o","stream_options":{"x":1},"stream":true}`, want: `{"model":"gpt-4o","stream_options":{"include_usage":true,"x":1},"stream":true}`, hidden: true},
		"asked by the client":     {body: `{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}`},
		"no stream":               {body: `{"model":"gpt-4o","stream":false}`},
		"off":                     {body: `{"model":"gpt-4o","stream":true}`, off: true},
		"another format":          {path: "/v1/messages", body: `{"model":"gpt-4o","stream":true}`},
		"another format's events": {path: "/v1/responses", body: `{"model":"gpt-4o","stream":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			d := bareDeployment(t, "http://h/v1")
			if tt.path == "" {
				tt.path = "/v1/chat/completions"
			}
			if tt.want == "" {
				tt.want = tt.body
			}
			x, _ := newExchange(t, post(tt.path), tt.body)
			a := attemptOn(d)
			a.Target.Pool.Policy.UsageInStream = !tt.off
			x.checkBody(t, d, a, tt.want)
			if x.hidesUsage != tt.hidden {
				t.Errorf("got hidden %v, want %v", x.hidesUsage, tt.hidden)
			}
			x.hidesUsage = true // of an attempt before
			a.Target.Pool.Policy.UsageInStream = false
			x.checkBody(t, d, a, strings.Replace(tt.body, `{"stream":true}`, `{"model":"gpt-4o","stream":true}`, 1))
			if x.hidesUsage {
				t.Error("got an event hidden that was not asked for")
			}
		})
	}
}

func TestPriorityOfTheClientIsReplaced(t *testing.T) {
	for name, tt := range map[string]struct {
		body, want string
		off        bool
	}{
		"none":              {body: `{"model":"gpt-4o"}`, want: `{"model":"gpt-4o"}`},
		"its own":           {body: `{"priority":-5,"model":"gpt-4o"}`, want: `{"priority":0,"model":"gpt-4o"}`},
		"text":              {body: `{"model":"gpt-4o","priority" : "high" }`, want: `{"model":"gpt-4o","priority" : 0 }`},
		"escaped":           {body: `{"model":"gpt-4o","prior\u0069ty":-5}`, want: `{"model":"gpt-4o","prior\u0069ty":0}`},
		"further down":      {body: `{"model":"gpt-4o","x":{"priority":-5}}`, want: `{"model":"gpt-4o","x":{"priority":-5}}`},
		"without the model": {body: `{"priority":-5}`, want: `{"model":"gpt-4o","priority":0}`},
		"off":               {body: `{"model":"gpt-4o","priority":-5}`, want: `{"model":"gpt-4o","priority":-5}`, off: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := bareDeployment(t, "http://h/v1")
			d.PassPriority = !tt.off
			x, _ := newExchange(t, post("/v1/chat/completions"), tt.body)
			x.checkBody(t, d, attemptOn(d), tt.want)
		})
	}
}

func TestPriorityOfTheRequestIsSent(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"gpt-4o"}`:                `{"priority":-3,"model":"gpt-4o"}`,
		`{"model":"gpt-4o","priority":-99}`: `{"model":"gpt-4o","priority":-3}`,
		`{}`:                                `{"priority":-3}`,
	} {
		t.Run(body, func(t *testing.T) {
			x, _ := newExchange(t, post("/v1/chat/completions"), body)
			var edits apireq.Edits
			if added := x.editPriority(&edits, nil, -3, true); len(added) > 0 {
				insertMembers(&edits, x.body.Bytes(), added)
			}
			if got := string(x.body.Append(nil, edits)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// All that can be changed, changed at once.
func TestAllEditsTogether(t *testing.T) {
	d := bareDeployment(t, "http://h/v1")
	d.PassPriority, d.Model = true, "llama-3"
	a := attemptOn(d)
	a.Target.Pool.Policy.UsageInStream = true
	long := `"` + strings.Repeat("x", smallBody) + `"`
	for name, tt := range map[string]struct{ body, want string }{
		"in place": {
			`{"stream_options":{},"priority":9,"stream":true,"model":"gpt-4o"}`,
			`{"stream_options":{"include_usage":true},"priority":0,"stream":true,"model":"llama-3"}`,
		},
		"in place, long": {
			`{"stream_options":{},"x":` + long + `,"priority":9,"stream":true,"model":"gpt-4o"}`,
			`{"stream_options":{"include_usage":true},"x":` + long + `,"priority":0,"stream":true,"model":"llama-3"}`,
		},
		"added": {
			`{"priority":9,"stream":true}`,
			`{"model":"llama-3","stream_options":{"include_usage":true},"priority":0,"stream":true}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			x, _ := newExchange(t, post("/v1/chat/completions"), tt.body)
			x.checkBody(t, d, a, tt.want)
		})
	}
}

// checkBody checks what an attempt sends.
func (x *Exchange) checkBody(t *testing.T, d *Deployment, a *engine.Attempt, want string) {
	t.Helper()
	req, err := x.outgoing(x.r.Context(), newOutgoing(x), d, a)
	if err != nil {
		t.Fatal(err)
	}
	defer req.Body.Close()
	got, err := io.ReadAll(req.Body)
	if err != nil || string(got) != want || req.ContentLength != int64(len(want)) {
		t.Errorf("got %s, length %d, %v; want %s", got, req.ContentLength, err, want)
	}
}
