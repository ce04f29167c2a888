package upstreams

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/state"
)

// keepingPool is a pool that keeps sessions by these values.
func keepingPool(t testing.TB, name string, by ...string) *Pool {
	t.Helper()
	p := &Pool{Name: name, engine: engine.NewPool(name, nil)}
	p.effective.Affinity = &Affinity{By: by}
	p.engine.Upstream = p
	if err := p.effective.Affinity.validate(); err != nil {
		t.Fatal(err)
	}
	if err := p.keepSessions(state.Alone{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Cleanup() })
	return p
}

// exchangeOf is the exchange of a request with a body and headers.
func exchangeOf(t testing.TB, body string, header ...string) *Exchange {
	t.Helper()
	facts, err := apireq.ScanJSON([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/v1/responses", nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	repl := caddy.NewEmptyReplacer()
	repl.Map(func(key string) (any, bool) { return r.Header.Get(key), key == "X-A" || key == "X-B" })
	r = r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl))
	return NewExchange(httptest.NewRecorder(), r, apireq.BodyOf([]byte(body)), &facts, false)
}

func TestWhichOfManyNamesTheSession(t *testing.T) {
	const all = `{"messages":[{"role":"user","content":"q"}],"prompt_cache_key":"k","metadata":{"session_id":"m","user_id":"u"},"session_id":"s"}`
	const headers = "X-Claude-Code-Session-Id"
	p := keepingPool(t, "p", "auto")
	key := func(x *Exchange) affinity.Key { return x.Session(p.engine, "").Own }
	for _, tt := range []struct {
		name string
		a, b *Exchange // where the same session is
	}{
		{"a header before fields", exchangeOf(t, all, headers, "c"), exchangeOf(t, `{}`, headers, "c")},
		{"Claude Code's before another", exchangeOf(t, all, "X-Session-Id", "x", headers, "c"), exchangeOf(t, `{}`, headers, "c")},
		{"a cache's key before the rest", exchangeOf(t, all), exchangeOf(t, `{"prompt_cache_key":"k"}`)},
		{"metadata's session before its user", exchangeOf(t, `{"metadata":{"session_id":"m","user_id":"u"},"session_id":"s"}`), exchangeOf(t, `{"metadata":{"session_id":"m","user_id":"v"}}`)},
		{"metadata before a field", exchangeOf(t, `{"metadata":{"user_id":"u"},"session_id":"s"}`), exchangeOf(t, `{"metadata":{"user_id":"u"}}`)},
		{"an answer that is gone on with before a field", exchangeOf(t, `{"previous_response_id":"r","session_id":"s"}`), exchangeOf(t, `{"previous_response_id":"r"}`)},
		{"a field before the prompt", exchangeOf(t, `{"session_id":"s","messages":[{"role":"user","content":"q"}]}`), exchangeOf(t, `{"session_id":"s"}`)},
		{"what is empty does not count", exchangeOf(t, `{"prompt_cache_key":"","session_id":"s"}`, headers, ""), exchangeOf(t, `{"session_id":"s"}`)},
	} {
		if key(tt.a) != key(tt.b) {
			t.Errorf("%s: got two sessions, want one", tt.name)
		}
	}
	t.Run("a header is not the field of its name", func(t *testing.T) {
		if key(exchangeOf(t, `{}`, "Session_id", "s")) == key(exchangeOf(t, `{"session_id":"s"}`)) {
			t.Error("got one session, want two")
		}
	})
	t.Run("pools share none", func(t *testing.T) {
		other := keepingPool(t, "q", "auto")
		x := exchangeOf(t, `{"session_id":"s","previous_response_id":"r"}`)
		if a, b := x.Session(p.engine, ""), x.Session(other.engine, ""); a.Response == b.Response || a.Response == (affinity.Key{}) {
			t.Errorf("got %x and %x, want two", a, b)
		}
	})
	t.Run("a text counts only when it is whole", func(t *testing.T) {
		p := keepingPool(t, "texts", "{X-A}/{X-B}", "only-{X-B}")
		none := exchangeOf(t, `{}`).Session(p.engine, "").Own
		a := exchangeOf(t, `{}`, "X-A", "1").Session(p.engine, "").Own
		b := exchangeOf(t, `{}`, "X-B", "2").Session(p.engine, "").Own
		both := exchangeOf(t, `{}`, "X-A", "1", "X-B", "2").Session(p.engine, "").Own
		if none != (affinity.Key{}) || a != (affinity.Key{}) || b == (affinity.Key{}) || both == (affinity.Key{}) || b == both {
			t.Errorf("got %x, %x, %x and %x; want none for the first two, and two sessions", none, a, b, both)
		}
	})
}

// A pool tells others of its sessions for as long as its config is in use.
func TestSessionsAreSharedUntilCleanup(t *testing.T) {
	for name, want := range map[string]int{"auto": 1, "off": 0} {
		store := &countingStore{attached: make(map[string]int)}
		p := &Pool{Name: "shared", engine: engine.NewPool("shared", nil)}
		p.effective.Affinity = &Affinity{By: []string{"auto"}, Off: name == "off"}
		if err := p.keepSessions(store); err != nil {
			t.Fatal(err)
		}
		if got := store.attached["shared"]; got != want {
			t.Errorf("%s: got the pool attached %d times, want %d", name, got, want)
		}
		for range 2 { // Caddy cleans up what failed, too
			if err := p.Cleanup(); err != nil {
				t.Fatal(err)
			}
		}
		if got := store.attached["shared"]; got != 0 {
			t.Errorf("%s: got the pool attached %d times after the cleanup, want none", name, got)
		}
		if _, held := states.References("sessions\x00shared"); held {
			t.Errorf("%s: got the sessions held after the cleanup, want them let go", name)
		}
	}
}

// A session costs what its text does, and no memory.
func TestSessionsAreFoundWithoutMemory(t *testing.T) {
	p := keepingPool(t, "p", "auto")
	for name, x := range map[string]*Exchange{
		"a header":   exchangeOf(t, `{}`, "Session-Id", "0123456789abcdef"),
		"a field":    exchangeOf(t, `{"metadata":{"user_id":"u"},"previous_response_id":"r"}`),
		"the prompt": exchangeOf(t, `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"}]}`),
		"escapes":    exchangeOf(t, `{"metadata":{"\u0061":1},"messages":[{"\u0061":1,"rol\u0065":"user","content":"q"}]}`),
		"nothing":    exchangeOf(t, `{}`),
	} {
		if n := testing.AllocsPerRun(100, func() { x.Session(p.engine, "team") }); n != 0 {
			t.Errorf("%s: got %v allocations, want none", name, n)
		}
	}
}

func TestIDsOfAnswers(t *testing.T) {
	for answer, want := range map[string]string{
		`{"id":"resp_1","object":"response"}`:       "resp_1",
		`{"output":[{"id":"msg_1"}],"id":"resp_1"}`: "resp_1",
		`{"id":7}`:                 "",
		`{"id":null,"id":"later"}`: "later",
		`["id"]`:                   "",
		`{"id":"cut`:               "cu", // of invalid JSON, nonsense within bounds
		``:                         "",
	} {
		if got := string(idOf([]byte(answer))); got != want {
			t.Errorf("%s: got %q, want %q", answer, got, want)
		}
	}
}

func BenchmarkSessionOf(b *testing.B) {
	p := keepingPool(b, "p", "auto")
	for name, x := range map[string]*Exchange{
		"first header": exchangeOf(b, `{}`, "X-Claude-Code-Session-Id", "0123456789abcdef"),
		"field":        exchangeOf(b, `{"session_id":"0123456789abcdef"}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.Session(p.engine, "")
			}
		})
	}
}
