package wholepath

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// Requests that are the same and come at the same time.

// gated is a step that tells when it has begun, and answers when it may.
func gated(step scripted.Step) (gate scripted.Step, begun <-chan struct{}, open func()) {
	started, released := make(chan struct{}, 100), make(chan struct{})
	gate = func(w http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		select {
		case <-released:
			step(w, r)
		case <-r.Context().Done():
		}
	}
	return gate, started, sync.OnceFunc(func() { close(released) })
}

// keepingGated is a router that keeps the answers of an upstream, which gives its own
// when it may.
func keepingGated(t *testing.T, step scripted.Step) (a *scripted.Upstream, s *caddyharness.Server, begun <-chan struct{}, open func()) {
	t.Helper()
	gate, begun, open := gated(step)
	a = scripted.New(t).Always(gate)
	return a, keeping(t, a, "cache 1h"), begun, open
}

// inHalves streams a chat whose second half comes when it may.
func inHalves() (step scripted.Step, open func()) {
	events := scripted.ChatEvents("m", "one ", "two ", "three")
	released := make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request) {
		scripted.Stream(0, events[:2]...)(w, r)
		select {
		case <-released:
			for _, event := range events[2:] {
				_, _ = io.WriteString(w, "data: "+event+"\n\n")
			}
		case <-r.Context().Done():
		}
	}, sync.OnceFunc(func() { close(released) })
}

// crowd sends the same request so many times at once. wait gives the answers.
func crowd(t *testing.T, s *caddyharness.Server, n int, body string) (wait func() []got) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
	t.Cleanup(cancel)
	all := make([]got, n)
	var asking sync.WaitGroup
	for i := range all {
		asking.Go(func() {
			var err error
			if all[i], err = tryAsk(ctx, s, chatPath, body); err != nil {
				t.Error(err)
			}
		})
	}
	return func() []got { asking.Wait(); return all }
}

// cameFrom counts answers by where they have come from.
func cameFrom(all []got) map[string]int {
	n := make(map[string]int)
	for _, g := range all {
		n[g.header.Get("X-LLM-Cache")]++
	}
	return n
}

func TestFiftyAtOnceMakeOneCall(t *testing.T) {
	for name, body := range map[string]string{"whole": plain, "streamed": streamed} {
		t.Run(name, func(t *testing.T) {
			a, s, begun, open := keepingGated(t, scripted.OK("Hello there."))
			wait := crowd(t, s, 50, body)
			<-begun
			// Those who come only after the answer get it too: it is kept by then.
			open()
			all := wait()
			for _, g := range all {
				if g.status != 200 || g.err != nil || g.body != all[0].body || !strings.Contains(g.body, "there") {
					t.Fatalf("got status %d, error %v and %q, want what the others got: %q", g.status, g.err, g.body, all[0].body)
				}
			}
			if n := cameFrom(all); n["miss"] != 1 || n["hit"] != 49 {
				t.Errorf("got %v, want one miss and 49 hits", n)
			}
			counts(t, "a", a, 1)
		})
	}
}

func TestAStreamIsFollowedAsItGrows(t *testing.T) {
	step, open := inHalves()
	a := scripted.New(t).Always(step)
	s := keeping(t, a, "cache 1h")
	_, first := beginStream(t, s, "one ")
	_, second := beginStream(t, s, "one ") // while the rest is not there yet
	open()
	if one, two := first(), second(); one != two || !strings.Contains(one, "[DONE]") {
		t.Errorf("got %q and %q, want the rest of one stream", one, two)
	}
	ask(t, s, chatPath, streamed).from(t, "hit")
	counts(t, "a", a, 1)
}

func TestAClientThatWaitsMayLeave(t *testing.T) {
	t.Run("the one who follows", func(t *testing.T) {
		caddyharness.NoLeaks(t)
		step, open := inHalves()
		a := scripted.New(t).Always(step)
		s := keeping(t, a, "cache 1h")
		_, first := beginStream(t, s, "one ")
		leave, _ := beginStream(t, s, "one ")
		leave()
		open()
		if rest := first(); !strings.Contains(rest, "[DONE]") {
			t.Errorf("got %q, want the whole stream", rest)
		}
		ask(t, s, chatPath, streamed).from(t, "hit")
		counts(t, "a", a, 1)
	})
	t.Run("the one who leads a stream", func(t *testing.T) {
		caddyharness.NoLeaks(t)
		step, open := inHalves()
		a := scripted.New(t).Always(step)
		s := keeping(t, a, "cache 1h")
		leave, _ := beginStream(t, s, "one ")
		_, second := beginStream(t, s, "one ")
		leave()
		open()
		if rest := second(); !strings.Contains(rest, "three") || !strings.Contains(rest, "[DONE]") {
			t.Errorf("got %q, want the whole stream", rest)
		}
		ask(t, s, chatPath, streamed).from(t, "hit")
		counts(t, "a", a, 1)
	})
	t.Run("the one who leads, before there is an answer", func(t *testing.T) {
		caddyharness.NoLeaks(t)
		a, s, begun, open := keepingGated(t, scripted.OK("Hello."))
		leave := inBackground(t, s, chatPath, plain)
		<-begun
		wait := crowd(t, s, 3, plain)
		followers(t, s, 3)
		leave()
		open()
		for _, g := range wait() {
			g.served(t, "Hello", "a", 0, 0)
		}
		counts(t, "a", a, 1)
	})
	t.Run("all of them, and the call ends", func(t *testing.T) {
		caddyharness.NoLeaks(t)
		a := scripted.New(t).Always(scripted.Hang())
		s := keeping(t, a, "cache 1h")
		first := inBackground(t, s, chatPath, plain)
		a.WaitCount(t, 1)
		second := inBackground(t, s, chatPath, plain)
		followers(t, s, 1)
		first()
		second()
		a.WaitCanceled(t, 1)
		counts(t, "a", a, 1)
	})
}

// followers waits until so many requests follow another.
func followers(t *testing.T, s *caddyharness.Server, n int) {
	t.Helper()
	eventually(t, "requests to follow another", 10*time.Second, func() bool {
		return len(lines(s, "following an identical request")) >= n
	})
}

func TestFailuresAreNotShared(t *testing.T) {
	gate, begun, open := gated(scripted.Error(500, "server_error", "x", "No."))
	a := scripted.New(t).Then(gate).Always(scripted.OK("Hello."))
	s := keeping(t, a, "cache 1h\nretries 0\ncooldown off")
	wait := crowd(t, s, 5, plain)
	<-begun
	followers(t, s, 4)
	open()
	failed := 0
	for _, g := range wait() {
		if g.status != 200 {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d requests have failed, want the one that was refused", failed)
	}
}

// An error in place of a stream's first content is no part of an answer, although it
// has the head of a good one.
func TestAStreamThatIsAnErrorIsNotShared(t *testing.T) {
	gate, begun, open := gated(scripted.Stream(0, `{"error":{"message":"No.","code":"server_error"}}`))
	a := scripted.New(t).Then(gate).Always(scripted.OK("Hello."))
	s := keeping(t, a, "cache 1h\nretries 0\ncooldown off")
	wait := crowd(t, s, 5, streamed)
	<-begun
	followers(t, s, 4)
	open()
	failed := 0
	for _, g := range wait() {
		if strings.Contains(g.body, "No.") {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d requests have failed, want the one that was refused", failed)
	}
}

// The leader of a long answer that is cut ends by a panic, so that its connection does.
func TestALongAnswerThatIsCutIsAskedForAgain(t *testing.T) {
	caddyharness.NoLeaks(t)
	long := scripted.OK(strings.Repeat("long ", 500_000))
	gate, begun, open := gated(scripted.CutAfter(2<<20, long))
	a := scripted.New(t).Then(gate).Always(long)
	s := keeping(t, a, "cache 1h {\n\tmax_item 4MiB\n}\nretries 0\ncooldown off")
	wait := crowd(t, s, 5, plain)
	<-begun
	followers(t, s, 4)
	open()
	cut := 0
	for _, g := range wait() {
		if g.err != nil {
			cut++
		}
	}
	if cut != 1 {
		t.Errorf("%d answers are cut, want that of the one who asked", cut)
	}
	counts(t, "a", a, 2)
}

// What is not to be kept may be had by those who wait for it all the same, who would
// else wait for nothing.
func TestAnAnswerThatIsNotKeptIsShared(t *testing.T) {
	for name, body := range map[string]string{"whole": plain, "streamed": streamed} {
		t.Run(name, func(t *testing.T) {
			a, s, begun, open := keepingGated(t, scripted.OK("Hello there."))
			var leading sync.WaitGroup
			leading.Go(func() { ask(t, s, chatPath, body, "Cache-Control", "no-store").from(t, "miss") })
			<-begun
			wait := crowd(t, s, 3, body)
			followers(t, s, 3)
			open()
			leading.Wait()
			for _, g := range wait() {
				g.served(t, "there", "a", 0, 0)
			}
			counts(t, "a", a, 1)
			ask(t, s, chatPath, body).from(t, "miss")
		})
	}
}

// What an answer on its way is made of may be older than somebody wants who asks the
// same.
func TestWhoeverWaitsGetsNothingOlderThanItWants(t *testing.T) {
	for name, tt := range map[string]struct {
		header []string
		from   string
		asked  [][]string
	}{
		"any age": {nil, "hit", [][]string{{"a"}, {"bb"}}},
		"new":     {[]string{"Cache-Control", "max-age=0"}, "miss", [][]string{{"a"}, {"bb"}, {"a", "bb"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var asked [][]string
			embed := embeds(&asked)
			gate, begun, open := gated(embed)
			a := scripted.New(t).Then(embed, gate).Always(embed)
			s := keeping(t, a, "cache 1h")
			ask(t, s, embeddingsPath, `{"model":"p","input":["a"]}`).from(t, "miss")
			if tt.from == "hit" {
				time.Sleep(1100 * time.Millisecond) // for an age that can be seen
			}
			const both = `{"model":"p","input":["a","bb"]}`
			leave := inBackground(t, s, embeddingsPath, both)
			defer leave()
			<-begun
			var g got
			var waiting sync.WaitGroup
			waiting.Go(func() { g = ask(t, s, embeddingsPath, both, tt.header...) })
			followers(t, s, 1)
			open()
			waiting.Wait()
			g.from(t, tt.from)
			if age := g.header.Get("Age"); tt.from == "hit" && (age == "" || age == "0") {
				t.Errorf("got Age %q, want that of the oldest part", age)
			}
			if !reflect.DeepEqual(asked, tt.asked) {
				t.Errorf("the upstream was asked for %v, want %v", asked, tt.asked)
			}
		})
	}
}

func TestACutStreamIsCutForAll(t *testing.T) {
	events := scripted.ChatEvents("m", "one ", "two ")
	released := make(chan struct{})
	a := scripted.New(t).Always(func(w http.ResponseWriter, r *http.Request) {
		scripted.Stream(0, events[:2]...)(w, r)
		<-released
	})
	s := keeping(t, a, "cache 1h\ncooldown off")
	_, first := beginStream(t, s, "one ")
	_, second := beginStream(t, s, "one ")
	close(released)
	if one, two := first(), second(); one != two || strings.Contains(one, "[DONE]") || !strings.Contains(one, `"error"`) {
		t.Errorf("got %q and %q, want the same error event and no end", one, two)
	}
	if g := ask(t, s, chatPath, streamed); g.header.Get("X-LLM-Cache") != "miss" {
		t.Errorf("got X-LLM-Cache %q, want nothing kept", g.header.Get("X-LLM-Cache"))
	}
}

func TestSharedAnswersOverHTTP2(t *testing.T) {
	step, open := inHalves()
	a := scripted.New(t).Always(step)
	s := caddyharness.Load(t, ":8080 {\n\tllm_router {\n"+keepingPool(a, "cache 1h")+"\n\t}\n}\n", caddyharness.WithTLS())
	leave, _ := beginStream(t, s, "one ")
	_, second := beginStream(t, s, "one ")
	leave()
	open()
	if rest := second(); !strings.Contains(rest, "[DONE]") {
		t.Errorf("got %q, want the whole stream", rest)
	}
	counts(t, "a", a, 1)
}
