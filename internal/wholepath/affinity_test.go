package wholepath

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// Sessions that stay on their deployments. Without a session, each request of these
// pools would go to another deployment than the one before.

// homes are the deployments a and b of a pool p, between which requests take turns.
type homes struct {
	testing.TB
	*caddyharness.Server
	a, b *scripted.Upstream
}

// underscores keeps Caddy from dropping the header session_id.
const underscores = "{\n\tservers {\n\t\texpected_underscore_headers session_id\n\t}\n}\n"

func newHomes(t testing.TB, policy string) *homes {
	h := &homes{TB: t, a: scripted.New(t).Always(scripted.OK("Hi.")), b: scripted.New(t).Always(scripted.OK("Hi."))}
	h.Server = caddyharness.Load(t, observed(h.pools(policy, "")))
	return h
}

// pools are the config's pools, with something more in deployment a.
func (h *homes) pools(policy, ofA string) string {
	return fmt.Sprintf("%s\nstrategy round_robin\npool p {\n\tdeployment a %s {\n\t\t%s\n\t}\n\tdeployment b %s\n}\n", policy, h.a.URL, ofA, h.b.URL)
}

// sessionChat is a chat of pool p with a field more.
func sessionChat(field string) string { return `{` + field + `"model":"p","messages":[]}` }

// at asks and gives the deployment that has answered.
func (h *homes) at(path, body string, header ...string) string {
	h.Helper()
	g := ask(h, h.Server, path, body, header...)
	if g.status != http.StatusOK {
		h.Fatalf("got %d: %s", g.status, g.body)
	}
	return g.header.Get("X-LLM-Deployment")
}

// stay checks that a session is on the deployment want, whoever's turn it is.
func (h *homes) stay(want, path, body string, header ...string) {
	h.Helper()
	for i := range 3 {
		if got := h.at(path, body, header...); got != want {
			h.Errorf("request %d: got an answer of %s, want %s, where the session is", i, got, want)
		}
	}
}

// apart checks that two sessions stay on two deployments.
func (h *homes) apart(first, second func(check string)) {
	h.Helper()
	first("a")
	second("b")
	first("a")
}

// A session moves when its deployment fails, and stays where it was answered.
func TestFailoverMovesASession(t *testing.T) {
	h := newHomes(t, "affinity auto\ncooldown 1s { \n\tallowed_fails 0\n\tgrowth 1 1s\n}")
	h.stay("a", chatPath, plain)
	h.a.Then(scripted.Error(503, "server_error", "", "busy"))
	h.stay("b", chatPath, plain)
	eventually(t, "the end of the cooldown", 10*time.Second, func() bool {
		return h.at(chatPath, sessionChat("")) == "a" // without a session
	})
	h.stay("b", chatPath, plain)
	counted := scrape(t, h.Server)
	for series, want := range map[string]float64{
		`affinity_total{pool="p",deployment="a",result="new"}`:   1,
		`affinity_total{pool="p",deployment="a",result="hit"}`:   2,
		`affinity_total{pool="p",deployment="b",result="moved"}`: 1,
		`affinity_total{pool="p",deployment="b",result="hit"}`:   5,
		`affinity_total{pool="p",deployment="b",result="new"}`:   0,
	} {
		got, ok := counted[seriesName(counted, series)]
		if !ok || got != want {
			t.Errorf("got %s = %v, there %v; want %v", series, got, ok, want)
		}
	}
}

// seriesName is a series by its labels in whatever order the page has them.
func seriesName(p page, want string) string {
	name, labels, _ := strings.Cut(strings.TrimSuffix(want, "}"), "{")
	for series := range p {
		n, l, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
		if n != name || len(l) != len(labels) {
			continue
		}
		all := true
		for label := range strings.SplitSeq(labels, ",") {
			all = all && strings.Contains(l, label)
		}
		if all {
			return series
		}
	}
	return want
}

// What keeps a deployment out is stronger than the sessions that are on it.
func TestSessionsYield(t *testing.T) {
	t.Run("to a cooldown", func(t *testing.T) {
		h := newHomes(t, "affinity auto")
		h.stay("a", chatPath, plain)
		h.a.Then(scripted.Error(429, "rate_limit", "rate_limit_exceeded", "Slow down. Try again in 60s."))
		h.stay("b", chatPath, plain)
		h.a.Always(scripted.OK("Hi."))
		counts(t, "a", h.a, 4)
	})
	t.Run("to a limit", func(t *testing.T) {
		h := &homes{TB: t, a: scripted.New(t).Always(scripted.OK("Hi.")), b: scripted.New(t).Always(scripted.OK("Hi."))}
		h.Server = routerWith(t, h.pools("affinity auto", "rpm 3"))
		h.stay("a", chatPath, plain)
		h.stay("b", chatPath, plain)
	})
	t.Run("to a full deployment", func(t *testing.T) {
		l := &lane{t: t, a: scripted.New(t), gate: make(gate)}
		l.a.Always(l.holds(scripted.OK("served")))
		b := scripted.New(t).Always(scripted.OK("Hi."))
		l.Server = routerWith(t, fmt.Sprintf("affinity {header.X-S}\npool p {\n\tdeployment a %s {\n\t\tmax_parallel 1\n\t}\n\tdeployment b %s {\n\t\torder 2\n\t}\n}\n", l.a.URL, b.URL))
		hold := l.hold(plain)
		if g := ask(t, l.Server, chatPath, plain, "X-S", "one"); g.header.Get("X-LLM-Deployment") != "b" {
			t.Errorf("got an answer of %s, want b", g.header.Get("X-LLM-Deployment"))
		}
		l.pass()
		hold.served()
		// The lower order is usable again, and stronger than where the session is.
		again := l.send("again", plain, "X-S", "one")
		l.pass()
		again.served()
		l.idle()
	})
	t.Run("to an order", func(t *testing.T) {
		a, b := scripted.New(t), scripted.New(t).Always(scripted.OK("Hi."))
		a.Then(scripted.Error(429, "rate_limit", "", "Slow down. Try again in 1s.")).Always(scripted.OK("Hi."))
		s := routerWith(t, twoInOrder(a, b, "affinity auto"))
		if got := served(t, s); got != "b" {
			t.Fatalf("got an answer of %s, want b after a's refusal", got)
		}
		eventually(t, "a to be back", 10*time.Second, func() bool { return served(t, s) == "a" })
		if got := served(t, s); got != "a" {
			t.Errorf("got an answer of %s, want a, which is of the lowest order", got)
		}
	})
	t.Run("to a team", func(t *testing.T) {
		h := newHomes(t, "team {header.X-Team}\naffinity {header.X-Session-Id}")
		h.stay("a", chatPath, plain, "X-Session-Id", "one", "X-Team", "red")
		h.stay("b", chatPath, plain, "X-Session-Id", "one", "X-Team", "blue")
		h.stay("a", chatPath, plain, "X-Session-Id", "one", "X-Team", "red")
	})
}

// Sessions go on over reloads, also of the deployments beside their own.
func TestSessionsSurviveReload(t *testing.T) {
	h := newHomes(t, "affinity auto")
	h.stay("a", chatPath, plain)
	h.at(chatPath, sessionChat("")) // so that it is a's turn again
	for name, config := range map[string]string{
		"the same config":      h.pools("affinity auto", ""),
		"another policy":       h.pools("affinity auto {\n\tttl 2h\n}\ndeadline 1m", ""),
		"another deployment":   strings.Replace(h.pools("affinity auto", ""), "\tdeployment a", "\tdeployment c "+h.b.URL+"\n\tdeployment a", 1),
		"another limit of a's": h.pools("affinity auto", "max_parallel 10"),
	} {
		h.Reload(t, configOf(config))
		for range 3 {
			if got := served(t, h.Server); got != "a" {
				t.Errorf("%s: got an answer of %s, want a", name, got)
			}
		}
	}
	t.Run("but not of a deployment that is no more", func(t *testing.T) {
		h.Reload(t, configOf(strings.Replace(h.pools("affinity auto", ""), "\tdeployment a", "\tdeployment c", 1)))
		first := served(t, h.Server)
		if first != "c" && first != "b" {
			t.Fatalf("got an answer of %s, want b or c", first)
		}
		for range 3 {
			if got := served(t, h.Server); got != first {
				t.Errorf("got an answer of %s, want %s, where the session is now", got, first)
			}
		}
	})
}

// Answers of the Responses API are gone on with where they are.
func TestResponsesAreGoneOnWithWhereTheyAre(t *testing.T) {
	whole := func(id string) scripted.Step {
		return scripted.Reply(200, nil, `{"id":"`+id+`","object":"response","status":"completed","output":[]}`)
	}
	stream := func(id string) scripted.Step {
		response := `{"id":"` + id + `","object":"response"}`
		return scripted.Stream(0,
			`event: response.created`+"\n"+`data: {"type":"response.created","sequence_number":0,"response":`+response+"}\n\n",
			`event: response.output_text.delta`+"\n"+`data: {"type":"response.output_text.delta","sequence_number":1,"delta":"Hi."}`+"\n\n",
			`event: response.completed`+"\n"+`data: {"type":"response.completed","sequence_number":2,"response":`+response+"}\n\n")
	}
	next := func(id, more string) string {
		return `{"model":"p","previous_response_id":"` + id + `","input":"And?"` + more + `}`
	}
	const first = `{"model":"p","input":"Hi"`
	for name, answer := range map[string]func(string) scripted.Step{"whole": whole, "streamed": stream} {
		for _, by := range []string{"auto", "prompt", "previous_response_id", "{header.X-Nobody}"} {
			t.Run(name+" by "+by, func(t *testing.T) {
				h := newHomes(t, "affinity "+by)
				more := "}"
				if name == "streamed" {
					more = `,"stream":true}`
				}
				h.a.Then(answer("resp_1")).Always(answer("resp_3"))
				h.b.Then(answer("resp_2")).Always(answer("resp_4"))
				for i, want := range []string{"a", "b"} {
					if got := h.at(responsesPath, first+more); got != want {
						t.Fatalf("request %d: got an answer of %s, want %s", i, got, want)
					}
				}
				for _, q := range []struct{ id, want string }{{"resp_2", "b"}, {"resp_1", "a"}, {"resp_1", "a"}, {"resp_3", "a"}, {"resp_4", "b"}, {"resp_4", "b"}} {
					if got := h.at(responsesPath, next(q.id, more[:len(more)-1])); got != q.want {
						t.Errorf("got an answer of %s, want %s, which has given %s", got, q.want, q.id)
					}
				}
			})
		}
	}
	t.Run("before the session's own deployment", func(t *testing.T) {
		h := newHomes(t, "affinity {header.X-S}")
		h.a.Always(whole("resp_1"))
		h.b.Always(whole("resp_2"))
		h.at(responsesPath, first+"}")
		h.stay("b", responsesPath, first+"}", "X-S", "one")
		h.stay("a", responsesPath, next("resp_1", ""), "X-S", "one")
	})
	t.Run("but not those that nobody keeps", func(t *testing.T) {
		h := newHomes(t, "affinity auto")
		h.a.Always(whole("resp_1"))
		h.b.Always(whole("resp_2"))
		h.at(responsesPath, first+`,"store":false}`)
		if got := h.at(responsesPath, next("resp_1", "")); got != "b" {
			t.Errorf("got an answer of %s, want b, whose turn it is", got)
		}
	})
}

// A WebSocket has a session by its headers alone.
func TestWebSocketsHaveSessions(t *testing.T) {
	a, b := scripted.New(t).Always(upperCaser), scripted.New(t).Always(upperCaser)
	p := realtime(t, a, (&homes{a: a, b: b}).pools("affinity auto", ""))
	for i, q := range []struct{ session, want string }{{"one", "a"}, {"two", "b"}, {"one", "a"}, {"two", "b"}, {"two", "b"}, {"one", "a"}} {
		resp := p.upgrade(t, "8080", realtimePath, "X-Session-Id", q.session)
		if got := resp.Header.Get("X-LLM-Deployment"); resp.StatusCode != http.StatusSwitchingProtocols || got != q.want {
			t.Errorf("connection %d: got %d of %q, want 101 of %s", i, resp.StatusCode, got, q.want)
		}
		converse(t, resp.Body.(io.ReadWriter))
		resp.Body.Close()
		eventually(t, "the connection to end", 10*time.Second, func() bool {
			ended := 0
			for _, e := range p.s.Logs() {
				if strings.HasPrefix(e.Logger, "http.log.access") && e.Fields["status"] == 101.0 {
					ended++
				}
			}
			return ended == i+1
		})
	}
}

// What a client sends as its session is nowhere but on its way.
func TestSessionsAreNotLogged(t *testing.T) {
	a := scripted.New(t).Then(scripted.Error(503, "server_error", "", "busy")).Always(scripted.OK("Hi."))
	s := caddyharness.Load(t, "{\n\tdebug\n}\n"+configOf(alone(a, "affinity auto")), caddyharness.WithAdmin())
	const secret = "conversation-7f3a"
	body := sessionChat(`"prompt_cache_key":"` + secret + `",`)
	ask(t, s, chatPath, body)
	ask(t, s, chatPath, body)
	_, raw := statusOf(t, s)
	text := fmt.Sprint(s.Logs()) + raw
	if strings.Contains(text, secret) || !strings.Contains(text, "attempt failed") {
		t.Errorf("got %s, want the failed attempt in it, and not the session", text)
	}
}
