package wholepath

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// hedgingPool is a pool p whose requests go to a, and when that is late to b.
// policy and more, for each deployment, are what else the config says.
func hedgingPool(a, b *scripted.Upstream, policy, more string) string {
	return fmt.Sprintf("%s\npool p {\n\thedge 100ms\n\tdeployment a %s {\n\t\tweight 1\n%[4]s\n\t}\n\tdeployment b %[3]s {\n\t\tweight 0\n%[4]s\n\t}\n}\n",
		policy, a.URL, b.URL, more)
}

const (
	// enough is how long who is late for a hedge takes, when it is to win in the end.
	enough    = 400 * time.Millisecond
	keepAlive = ": keep-alive\n\n"
)

// Whose content comes first is who the client hears, and nothing of the other.
func TestHedging(t *testing.T) {
	busy := scripted.Error(503, "server_error", "", "busy")
	broken := scripted.Error(500, "server_error", "", "broken")
	begun := append([]string{keepAlive}, chatFormat.head...)
	failing := scripted.Stream(0, append(begun[:2:2], chatFormat.failure)...)
	for _, tt := range []struct {
		name     string
		a, b     scripted.Step
		by       string // "" is that both fail
		attempts int
		canceled string // whose upstream sees its client leave
	}{
		{name: "in time", a: scripted.OK("by a"), by: "a", attempts: 1},
		{name: "silent", a: scripted.Hang(), b: scripted.OK("by b"), by: "b", attempts: 2, canceled: "a"},
		{name: "a head and nothing else", a: scripted.HeadersThenHang(200, nil), b: scripted.OK("by b"), by: "b", attempts: 2, canceled: "a"},
		{name: "keep-alives", a: chatFormat.stall(begun...), b: scripted.OK("by b"), by: "b", attempts: 2, canceled: "a"},
		{name: "both with keep-alives", a: scripted.After(enough, scripted.OK("by a")), b: chatFormat.stall(begun...), by: "a", attempts: 2, canceled: "b"},
		{name: "late, and faster than the hedge", a: scripted.After(enough, scripted.OK("by a")), b: scripted.Hang(), by: "a", attempts: 2, canceled: "b"},
		{name: "a hedge that fails", a: scripted.After(enough, scripted.OK("by a")), b: busy, by: "a", attempts: 2},
		{name: "a hedge whose stream fails", a: scripted.After(enough, scripted.OK("by a")), b: failing, by: "a", attempts: 2},
		{name: "a hedge that is reset", a: scripted.After(enough, scripted.OK("by a")), b: scripted.ResetBeforeHeaders(), by: "a", attempts: 2},
		{name: "a failure beside the hedge", a: scripted.After(enough/2, busy), b: scripted.After(enough, scripted.OK("by b")), by: "b", attempts: 2},
		{name: "both fail", a: scripted.After(enough, busy), b: broken, attempts: 2},
	} {
		for kind, body := range map[string]string{"plain": plain, "streamed": streamed} {
			t.Run(tt.name+"/"+kind, func(t *testing.T) {
				a, b := scripted.New(t).Always(tt.a), scripted.New(t)
				if tt.b != nil {
					b.Always(tt.b)
				}
				s := routerWith(t, hedgingPool(a, b, "retries 0", ""))
				g := ask(t, s, chatPath, body)
				switch {
				case tt.by == "":
					if g.status != 503 || !strings.Contains(g.body, "busy") { // the later failure
						t.Errorf("got status %d, %q; want 503, busy", g.status, g.body)
					}
				case body == streamed:
					chatFormat.checkStream(t, g, "by "+tt.by)
				default:
					g.served(t, "by "+tt.by, tt.by, tt.attempts, 0)
				}
				if tt.by != "" {
					g.by(t, tt.by, tt.attempts, 0)
				}
				if strings.Contains(g.body, "keep-alive") {
					t.Errorf("got the loser's keep-alive in\n%s", g.body)
				}
				for id, u := range map[string]*scripted.Upstream{"a": a, "b": b} {
					if tt.canceled == id {
						u.WaitCanceled(t, 1)
					}
				}
			})
		}
	}
}

// What the loser has cost is counted, and it carries nothing any more while the
// client still reads the other's answer.
func TestHedgesAreCounted(t *testing.T) {
	goOn := make(chan struct{})
	pausing := func(w http.ResponseWriter, r *http.Request) {
		chatFormat.send(0, chatFormat.begun("one ", "two")...)(w, r)
		<-goOn
		io.WriteString(w, chatFormat.wire(withUsage(chatFormat.tail)...)) //nolint:errcheck // the client sees what is missing
	}
	a, b := scripted.New(t).Always(scripted.Hang()), scripted.New(t).Always(pausing)
	s := caddyharness.Load(t, observed(hedgingPool(a, b, "", "cost 1000000 2000000")))
	ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
	defer cancel()
	answer := make(chan got, 1)
	go func() {
		g, _ := tryAsk(ctx, s, chatPath, `{"stream_options":{"include_usage":true},`+streamed[1:])
		answer <- g
	}()
	b.WaitCount(t, 1)
	a.WaitCanceled(t, 1)
	const carrying = `in_flight{deployment="%s",pool="p"}`
	eventually(t, "the loser to be free", 5*time.Second, func() bool { return scrape(t, s)[fmt.Sprintf(carrying, "a")] == 0 })
	if got := scrape(t, s)[fmt.Sprintf(carrying, "b")]; got != 1 {
		t.Errorf("got %v in flight on the winner, want its stream", got)
	}
	close(goOn)
	chatFormat.checkStream(t, <-answer, "one two")
	want := ended("p", "b", "ok", page{
		attempts("p", "a", "canceled"): 1, attempts("p", "b", "ok"): 1, `hedges_total{pool="p",result="won"}`: 1,
		tokens("p", "a", "input"): 8, tokens("p", "b", "input"): 3, tokens("p", "b", "output"): 4,
		`time_to_first_token_seconds_count{deployment="b",pool="p"}`: 1, `time_per_output_token_seconds_count{deployment="b",pool="p"}`: 1,
		`cost_dollars_total{deployment="a",pool="p"}`: 8, `cost_dollars_total{deployment="b",pool="p"}`: 11,
	})
	want.counts(t, s)
	if got := scrape(t, s).sum("in_flight"); got != 0 {
		t.Errorf("got %v in flight at the end, want none", got)
	}

	a.Always(scripted.After(enough, scripted.OK("by a")))
	b.Always(scripted.Hang())
	ask(t, s, chatPath, plain).served(t, "by a", "a", 2, 0)
	maps.Copy(want, ended("p", "a", "ok", page{
		attempts("p", "a", "ok"): 1, attempts("p", "b", "canceled"): 1, `hedges_total{pool="p",result="lost"}`: 1,
		`overhead_seconds_count{pool="p"}`: 2,
		tokens("p", "a", "input"):          11, tokens("p", "a", "output"): 2, tokens("p", "b", "input"): 11,
		`cost_dollars_total{deployment="a",pool="p"}`: 15, `cost_dollars_total{deployment="b",pool="p"}`: 19,
	}))
	want.counts(t, s)
	for i, want := range []bool{true, false} {
		all := lines(s, "hedged")
		if len(all) <= i || all[i].Level != "debug" || all[i].Fields["deployment"] != "b" || all[i].Fields["beside"] != "a" || all[i].Fields["won"] != want {
			t.Errorf("got the lines %v, want %d to be of b beside a, won %v", all, i, want)
		}
	}
}

// The client's leaving ends both.
func TestHedgesOfAClientThatLeaves(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.Hang()), scripted.New(t).Always(chatFormat.stall(keepAlive))
	s := caddyharness.Load(t, observed(hedgingPool(a, b, "", "")))
	leave := inBackground(t, s, chatPath, streamed)
	b.WaitCount(t, 1)
	leave()
	a.WaitCanceled(t, 1)
	b.WaitCanceled(t, 1)
	eventually(t, "both to be free", 5*time.Second, func() bool { return scrape(t, s).sum("in_flight") == 0 })
	page := scrape(t, s)
	for name, want := range map[string]float64{
		attempts("p", "a", "canceled"): 1, attempts("p", "b", "canceled"): 1, `hedges_total{pool="p",result="lost"}`: 1,
	} {
		if got := page[name]; got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// A body of any kind is sent to both, whole.
func TestHedgesSendTheWholeBody(t *testing.T) {
	large := strings.Replace(plain, "Hi", strings.Repeat("large ", 50_000), 1)
	form := "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\np\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n" +
		strings.Repeat("audio", 20_000) + "\r\n--x--\r\n"
	for name, tt := range map[string]struct{ path, body, contentType string }{
		"small": {chatPath, plain, "application/json"},
		"large": {chatPath, large, "application/json"},
		"form":  {"/v1/audio/transcriptions", form, "multipart/form-data; boundary=x"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := scripted.New(t).Always(scripted.Hang()), scripted.New(t)
			s := routerWith(t, hedgingPool(a, b, "", ""))
			if g := ask(t, s, tt.path, tt.body, "Content-Type", tt.contentType); g.status != 200 {
				t.Fatalf("got status %d, %s; want 200", g.status, g.body)
			}
			a.WaitCanceled(t, 1)
			for id, u := range map[string]*scripted.Upstream{"a": a, "b": b} {
				if got := string(u.Last(t).Body); got != tt.body {
					t.Errorf("deployment %s got %d bytes, want the %d of the client", id, len(got), len(tt.body))
				}
			}
		})
	}
}

// A stream that won goes on elsewhere when it is cut, also where an attempt has lost.
func TestHedgesAreResumed(t *testing.T) {
	a := scripted.New(t).Then(scripted.Hang()).Always(chatFormat.send(0, chatFormat.events("one ", "two")...))
	b := scripted.New(t).Always(chatFormat.cut(chatFormat.begun("one ")...))
	s := caddyharness.Load(t, observed(hedgingPool(a, b, "resume on", "")))
	chatFormat.checkStream(t, ask(t, s, chatPath, streamed), "one two")
	counts(t, "a", a, 2)
	counts(t, "b", b, 1)
	eventually(t, "everything to be counted", 5*time.Second, func() bool {
		page := scrape(t, s)
		return page[attempts("p", "a", "canceled")] == 1 && page[attempts("p", "b", "connection")] == 1 &&
			page[attempts("p", "a", "ok")] == 1 && page[`hedges_total{pool="p",result="won"}`] == 1 && page.sum("in_flight") == 0
	})
}

// WebSockets are never at two places.
func TestUpgradesAreNotHedged(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.After(enough, upperCaser)), scripted.New(t)
	p := &pair{s: caddyharness.Load(t, observed(hedgingPool(a, b, "", ""))), u: a, scheme: "http"}
	p.converses(t, "a", 1)()
	counts(t, "b", b, 0)
}

// What placeholders stand for is each attempt's own, and of the response the
// winner's.
func TestPlaceholdersOfHedges(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.Hang()), scripted.New(t)
	s := caddyharness.Load(t, `:8080 {
		vars colour green
		llm_router {
			`+hedgingPool(a, b, "", `header_up X-Upstream {http.reverse_proxy.upstream.hostport}
			header_up X-Request {http.request.uuid}
			header_up X-Colour {http.vars.colour}
			header_up X-Client {http.request.header.x-client}
			header_down X-From {http.reverse_proxy.upstream.hostport}`)+`
		}
	}`)
	g := ask(t, s, chatPath, plain, "X-Client", "me")
	if got := g.header.Get("X-From"); got != b.Addr {
		t.Errorf("X-From: got %q, want the winner's %q", got, b.Addr)
	}
	a.WaitCanceled(t, 1)
	first, second := a.Last(t).Header, b.Last(t).Header
	for _, sent := range []struct {
		to     *scripted.Upstream
		header http.Header
	}{{a, first}, {b, second}} {
		for name, want := range map[string]string{
			"X-Upstream": sent.to.Addr, "X-Colour": "green", "X-Client": "me", "X-Request": first.Get("X-Request"),
		} {
			if got := sent.header.Get(name); got != want || got == "" {
				t.Errorf("%s to %s: got %q, want %q", name, sent.to.Addr, got, want)
			}
		}
	}
}

// A cookie that a policy sets for its choice is the winner's alone.
func TestCookiesOfHedges(t *testing.T) {
	deployment := func(id, weight string, u *scripted.Upstream) string {
		host, port, _ := strings.Cut(u.Addr, ":")
		return fmt.Sprintf("deployment %s {\nweight %s\nlb_policy cookie %[1]s\ndynamic multi {\na {\nname %[3]s\nport %s\n}\n}\n}\n", id, weight, host, port)
	}
	a, b := scripted.New(t).Always(scripted.Hang()), scripted.New(t)
	s := routerWith(t, "pool p {\nhedge 100ms\n"+deployment("a", "1", a)+deployment("b", "0", b)+"}")
	g := ask(t, s, chatPath, plain)
	g.served(t, "ok", "b", 2, 0)
	if got := g.header.Values("Set-Cookie"); len(got) != 1 || !strings.HasPrefix(got[0], "b=") {
		t.Errorf("got the cookies %q, want b's", got)
	}
}

// Interim answers reach the client as long as one attempt is alone.
func TestInterimAnswersOfHedges(t *testing.T) {
	hint := func(w http.ResponseWriter, link string) {
		w.Header().Set("Link", link)
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
	}
	bothRun := make(chan struct{})
	a, b := scripted.New(t), scripted.New(t)
	a.Always(func(w http.ResponseWriter, r *http.Request) {
		hint(w, "</first>")
		<-bothRun
		hint(w, "</second>")
		scripted.After(enough, scripted.OK("by a"))(w, r)
	})
	b.Always(func(w http.ResponseWriter, r *http.Request) {
		hint(w, "</third>")
		close(bothRun)
		scripted.Hang()(w, r)
	})
	s := routerWith(t, hedgingPool(a, b, "", ""))
	var hints []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		hints = append(hints, h.Get("Link"))
		return nil
	}})
	g, err := tryAsk(ctx, s, chatPath, plain)
	if err != nil {
		t.Fatal(err)
	}
	g.served(t, "by a", "a", 2, 0)
	if got := strings.Join(hints, " "); got != "</first>" || g.header.Get("Link") != "" {
		t.Errorf("got the hints %q and the Link %q, want the first hint alone", got, g.header.Get("Link"))
	}
}

// An attempt whose answer came whole and is an error all the same may be followed by
// attempts that are hedged.
func TestHedgesAfterAWholeBadAnswer(t *testing.T) {
	for bad, step := range map[string]scripted.Step{
		"error with status 200": scripted.Reply(200, http.Header{"Content-Type": {"application/json"}}, `{"error":{"message":"broken","type":"server_error"}}`),
		"empty stream":          scripted.Stream(0),
	} {
		for where, pools := range map[string]string{
			"another pool": `pool p {
				deployment a %s
				fallback q
			}
			pool q {
				hedge 1s
				deployment b %s
				deployment c %s
			}`,
			// a has no other of its order beside it, b and c have.
			"the next order": `pool p {
				hedge 1s
				deployment a %s
				deployment b %s {
					order 2
				}
				deployment c %s {
					order 2
				}
			}`,
		} {
			t.Run(bad+"/"+where, func(t *testing.T) {
				a, b, c := scripted.New(t).Always(step), scripted.New(t).Always(scripted.OK("good")), scripted.New(t).Always(scripted.OK("good"))
				s := routerWith(t, "retries 0\n"+fmt.Sprintf(pools, a.URL, b.URL, c.URL))
				g := ask(t, s, chatPath, plain)
				if g.status != 200 {
					t.Errorf("got status %d, %s", g.status, g.body)
				}
			})
		}
	}
}
