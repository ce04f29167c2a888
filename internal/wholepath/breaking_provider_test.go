package wholepath

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/freeport"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// The router as most would configure it, in front of a provider that breaks in
// every way there is: one primary, one fallback, and every setting at its
// default but for resume and first_token_timeout. A test says so where it needs
// another one, because a default of minutes would last as long.

const rightAnswer = "The answer is forty-two, and here is why: because it is."

// maxPrimary bounds the attempts that a request makes on the primary (the first
// and two retries), maxFallback those on the fallback.
const (
	maxPrimary  = 3
	maxFallback = 1
)

// providers runs a Caddy with a pool primary that falls back to a pool
// fallback.
func providers(t *testing.T, primary, fallback, policy string) *caddyharness.Server {
	t.Helper()
	return routerWith(t, fmt.Sprintf(`
		first_token_timeout 1s
		resume on
		%s
		pool primary {
			deployment first %s
			fallback fallback
		}
		pool fallback {
			deployment second %s
		}`, policy, primary, fallback))
}

const (
	primaryPlain    = `{"model":"primary","messages":[{"role":"user","content":"Why?"}]}`
	primaryStreamed = `{"model":"primary","stream":true,"messages":[{"role":"user","content":"Why?"}]}`
)

// wholeAnswer tells what is wrong with an answer, "" if it is whole and right.
func wholeAnswer(g got, stream bool) string {
	if g.status != 200 || g.err != nil {
		return fmt.Sprintf("status %d, error %v, body %q", g.status, g.err, g.body)
	}
	var text strings.Builder
	events := []string{g.body}
	if stream {
		if strings.Count(g.body, "data: [DONE]\n\n") != 1 || !strings.HasSuffix(g.body, "data: [DONE]\n\n") {
			return fmt.Sprintf("not one [DONE] at the end: %q", g.body)
		}
		events = strings.Split(strings.TrimSuffix(g.body, "data: [DONE]\n\n"), "\n\n")
		events = events[:len(events)-1]
	}
	finished := 0
	for _, e := range events {
		var answer struct {
			Error   any
			Choices []struct {
				Delta, Message struct{ Content string }
				FinishReason   string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(e, "data: ")), &answer); err != nil || answer.Error != nil {
			return fmt.Sprintf("event %q: error %v", e, err)
		}
		for _, c := range answer.Choices {
			text.WriteString(c.Delta.Content + c.Message.Content)
			if c.FinishReason != "" {
				finished++
			}
		}
	}
	if text.String() != rightAnswer || finished != 1 {
		return fmt.Sprintf("text %q, finished %d times", text.String(), finished)
	}
	return ""
}

// breakage is a way in which the primary breaks.
type breakage struct {
	name string
	step scripted.Step
	// on says which requests it is about: "plain", "stream" or "" for both.
	on string
	// fails is how many times the primary is asked in vain when the breakage
	// lasts; what it does once is then mended by a retry, unless away is set.
	fails int
	// away sends the request to the fallback even if it happens only once.
	away bool
	// policy is what the test needs beyond the defaults.
	policy string
}

// breakages are the ways in which the primary fails; what is cut or stalls has
// sent two thirds of the right answer.
func breakages() []breakage {
	right := scripted.OK(rightAnswer)
	words := strings.SplitAfter(rightAnswer, " ")
	some := scripted.ChatEvents("m", words...)[:1+len(words)*2/3]
	plainCut := func(w http.ResponseWriter, r *http.Request) { // after two thirds of its bytes
		scripted.CutAfter(200, right)(w, r)
	}
	return []breakage{
		// The second 429 is a failed probe, whose longer cooldown nobody waits for.
		{name: "429 with Retry-After 1", step: limited("Retry-After", "1"), fails: 2},
		{name: "429 without Retry-After", step: scripted.Reply(429, nil, "{}"), fails: 1, away: true},
		{name: "500", step: scripted.Error(500, "server_error", "", "The server had an error"), fails: 3},
		{name: "503", step: scripted.Reply(503, nil, "{}"), fails: 3},
		{name: "reset before headers", step: scripted.ResetBeforeHeaders(), fails: 3},
		// timeout is the deadline by default, which is ten minutes.
		{name: "no answer", step: scripted.Hang(), on: "plain", fails: 1, away: true, policy: "timeout 1s"},
		{name: "no answer", step: scripted.Hang(), on: "stream", fails: 1, away: true},
		{name: "headers and no first token", step: scripted.HeadersThenHang(200, nil), on: "stream", fails: 1, away: true},
		{name: "cut after two thirds", step: plainCut, on: "plain", fails: 3},
		{name: "cut after two thirds", step: scripted.CutAfter(1<<30, scripted.Stream(0, some...)), on: "stream", fails: 3},
		// idle_timeout is two minutes by default.
		{name: "stall after two thirds", step: scripted.StallAfter(some...), on: "stream", fails: 1, away: true, policy: "idle_timeout 1s"},
		{name: "prompt too long", step: tooLong, fails: 1, away: true},
	}
}

func TestBreakingProvider(t *testing.T) {
	for _, br := range breakages() {
		for _, kind := range []string{"plain", "stream"} {
			if br.on != "" && br.on != kind {
				continue
			}
			stream, body := kind == "stream", primaryPlain
			if stream {
				body = primaryStreamed
			}
			t.Run(br.name+"/"+kind+"/once", func(t *testing.T) {
				primary, fallback := scripted.New(t).Always(scripted.OK(rightAnswer)), scripted.New(t).Always(scripted.OK(rightAnswer))
				primary.Then(br.step)
				s := providers(t, primary.URL, fallback.URL, br.policy)
				if wrong := wholeAnswer(ask(t, s, chatPath, body), stream); wrong != "" {
					t.Errorf("got %s", wrong)
				}
				first, second := 2, 0
				if br.away {
					first, second = 1, 1
				}
				counts(t, "first", primary, first)
				counts(t, "second", fallback, second)
			})
			t.Run(br.name+"/"+kind+"/lasting", func(t *testing.T) {
				primary, fallback := scripted.New(t).Always(br.step), scripted.New(t).Always(scripted.OK(rightAnswer))
				s := providers(t, primary.URL, fallback.URL, br.policy)
				start := time.Now()
				for n := range 2 {
					before, behind := primary.Count(), fallback.Count()
					if wrong := wholeAnswer(ask(t, s, chatPath, body), stream); wrong != "" {
						t.Errorf("request %d: got %s", n, wrong)
					}
					if asked := primary.Count() - before; n == 0 && asked != br.fails || asked > maxPrimary {
						t.Errorf("request %d: the primary was asked %d times, want %d and at most %d", n, asked, br.fails, maxPrimary)
					}
					if asked := fallback.Count() - behind; asked != maxFallback {
						t.Errorf("request %d: the fallback was asked %d times, want %d", n, asked, maxFallback)
					}
				}
				if took := time.Since(start); took > 15*time.Second {
					t.Errorf("two requests took %v", took)
				}
			})
		}
	}
}

// These are no failures, or none that another provider may mend.
func TestBreakingProviderIsNotLeft(t *testing.T) {
	words := scripted.ChatEvents("m", strings.SplitAfter(rightAnswer, " ")...)
	tests := []struct {
		name string
		step scripted.Step
	}{
		{"malformed event", scripted.Stream(0, append(append(words[:4:4], `data: {"choices":[{"del`), words[4:]...)...)},
		{"missing [DONE]", scripted.Stream(0, words[:len(words)-1]...)},
		{"cut where [DONE] belongs", scripted.CutAfter(1<<30, scripted.Stream(0, words[:len(words)-1]...))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			primary, fallback := scripted.New(t).Always(tt.step), scripted.New(t)
			s := providers(t, primary.URL, fallback.URL, "")
			for n := range 6 {
				if wrong := wholeAnswer(ask(t, s, chatPath, primaryStreamed), true); wrong != "" {
					t.Errorf("request %d: got %s", n, wrong)
				}
			}
			counts(t, "first", primary, 6)
			counts(t, "second", fallback, 0)
		})
	}
	t.Run("filtered prompt", func(t *testing.T) {
		primary, fallback := scripted.New(t).Always(filtered), scripted.New(t)
		s := providers(t, primary.URL, fallback.URL, "")
		for _, body := range []string{primaryPlain, primaryStreamed} {
			checkReason(t, ask(t, s, chatPath, body), "content_filter", "first", 1, 0)
		}
		counts(t, "first", primary, 2)
		counts(t, "second", fallback, 0)
	})
}

// One router meets every breakage, one after the other, each once, with all that
// it remembers of those before.
func TestBreakingProviderByTurns(t *testing.T) {
	primary, fallback := scripted.New(t).Always(scripted.OK(rightAnswer)), scripted.New(t).Always(scripted.OK(rightAnswer))
	s := providers(t, primary.URL, fallback.URL, "timeout 1s\nidle_timeout 1s")
	for _, br := range breakages() {
		stream, body := br.on != "plain", primaryStreamed
		if !stream {
			body = primaryPlain
		}
		// What cools the primary is over before the next turn, which would
		// not reach it otherwise.
		eventually(t, "the primary to serve", 30*time.Second, func() bool {
			return ask(t, s, chatPath, primaryPlain).header.Get("X-LLM-Deployment") == "first"
		})
		before, behind := primary.Count(), fallback.Count()
		primary.Then(br.step)
		g := ask(t, s, chatPath, body)
		if wrong := wholeAnswer(g, stream); wrong != "" {
			t.Errorf("%s, stream %v: got %s", br.name, stream, wrong)
		}
		if first, second := primary.Count()-before, fallback.Count()-behind; first == 0 || first > maxPrimary || second > maxFallback {
			t.Errorf("%s, stream %v: %d and %d attempts, want 1 to %d and at most %d", br.name, stream, first, second, maxPrimary, maxFallback)
		}
	}
}

// flapping is a provider whose port refuses connections while it is down.
type flapping struct {
	t    *testing.T
	addr string
	srv  *http.Server
	done chan struct{}
}

func newFlapping(t *testing.T) *flapping {
	t.Helper()
	addr, err := freeport.Addr()
	if err != nil {
		t.Fatal(err)
	}
	f := &flapping{t: t, addr: addr}
	f.up()
	t.Cleanup(f.down)
	return f
}

func (f *flapping) up() {
	f.t.Helper()
	ln, err := net.Listen("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.srv = &http.Server{Handler: http.HandlerFunc(scripted.OK(rightAnswer))}
	f.done = make(chan struct{})
	go func() {
		defer close(f.done)
		_ = f.srv.Serve(ln)
	}()
}

func (f *flapping) down() {
	_ = f.srv.Close() // with its connections
	<-f.done
}

// outage sends requests, one each interval, before, while and after the primary
// is down, and tells how long after its recovery it serves again. None may fail.
func outage(t *testing.T, length, interval time.Duration) {
	t.Helper()
	primary, fallback := newFlapping(t), scripted.New(t).Always(scripted.OK(rightAnswer))
	s := providers(t, "http://"+primary.addr, fallback.URL, "")
	var (
		mu       sync.Mutex
		sent     int
		wrong    []string
		byFirst  bool // since the recovery
		backAt   time.Time
		upAgain  time.Time
		requests sync.WaitGroup
	)
	defer requests.Wait()
	send := func(stream bool) {
		body := primaryPlain
		if stream {
			body = primaryStreamed
		}
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		begin := time.Now()
		g, err := tryAsk(ctx, s, chatPath, body)
		mu.Lock()
		defer mu.Unlock()
		sent++
		switch w := wholeAnswer(g, stream); {
		case err != nil:
			wrong = append(wrong, err.Error())
		case w != "":
			wrong = append(wrong, w)
		case g.header.Get("X-LLM-Deployment") == "first" && !upAgain.IsZero() && begin.After(upAgain) && !byFirst:
			byFirst, backAt = true, time.Now()
		}
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	start := time.Now()
	begins := start.Add(5 * interval)
	isDown := false
	for n := 0; ; n++ {
		requests.Go(func() { send(n%2 == 0) })
		<-tick.C
		mu.Lock()
		served, recovered := byFirst, upAgain
		mu.Unlock()
		switch now := time.Now(); {
		case recovered.IsZero() && !isDown && now.After(begins):
			isDown = true
			primary.down()
		case recovered.IsZero() && isDown && now.After(begins.Add(length)):
			primary.up()
			mu.Lock()
			upAgain = time.Now()
			mu.Unlock()
		case served || !recovered.IsZero() && now.Sub(recovered) > 45*time.Second:
			requests.Wait()
			if len(wrong) > 0 {
				t.Errorf("%d of %d requests failed, the first with %s", len(wrong), sent, wrong[0])
			}
			if took := backAt.Sub(upAgain); !served || took > 30*time.Second {
				t.Errorf("the primary did not serve within 30s of its recovery (%v, %v)", served, took)
			} else {
				t.Logf("%d requests, none failed; the primary served again after %v", sent, took)
			}
			return
		}
	}
}

func TestBreakingProviderOutage(t *testing.T) {
	outage(t, 6*time.Second, 200*time.Millisecond)
}

func TestBreakingProviderOutageOfAMinute(t *testing.T) {
	if os.Getenv("LLM_ROUTER_LONG_TESTS") != "1" {
		t.Skip("set LLM_ROUTER_LONG_TESTS=1 to run it")
	}
	outage(t, time.Minute, 3*time.Second)
}
