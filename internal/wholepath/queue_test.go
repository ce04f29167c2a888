package wholepath

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

func TestQueueServesWhoWaits(t *testing.T) {
	l := newLane(t, "queue 5 20s", "")
	waiters := []*waiter{l.hold(plain)}
	for i, body := range []string{plain, streamed, plain} {
		waiters = append(waiters, l.send(fmt.Sprint(i), body))
		l.waiting(i + 1)
	}
	counts(t, "a", l.a, 1)
	for i, w := range waiters {
		l.pass()
		w.served()
		l.waiting(max(0, len(waiters)-2-i))
	}
	if got, want := l.names(), []string{"hold", "0", "1", "2"}; !slices.Equal(got, want) {
		t.Errorf("got the requests %v, want them as they came: %v", got, want)
	}
	l.idle()
}

func TestQueueTurnsAway(t *testing.T) {
	for _, tt := range []struct{ name, queue string }{
		{"everybody without a queue", ""},
		{"everybody with the queue off", "queue off"},
		{"who waits for too long", "queue 5 200ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLane(t, tt.queue, "")
			hold := l.hold(plain)
			g := ask(t, l.Server, chatPath, plain)
			g.turnedAway(t)
			counts(t, "a", l.a, 1)
			l.pass()
			hold.served()
			l.idle()
		})
	}
	t.Run("who finds it full", func(t *testing.T) {
		l := newLane(t, "queue 1 20s", "")
		hold, first := l.hold(plain), l.send("first", plain)
		l.waiting(1)
		ask(t, l.Server, chatPath, plain).turnedAway(t)
		g := ask(t, l.Server, messagesPath, plain)
		if g.status != http.StatusTooManyRequests || g.field("error.type") != "rate_limit_error" || g.header.Get("Retry-After") == "" {
			t.Errorf("got %d %s, want 429 as Anthropic writes it", g.status, g.body)
		}
		for _, w := range []*waiter{hold, first} {
			l.pass()
			w.served()
		}
		l.idle()
	})
	t.Run("the least important", func(t *testing.T) {
		l := newLane(t, "queue 1 20s", "priority {header.X-Prio}")
		hold, less := l.hold(plain), l.send("less", plain, "X-Prio", "3")
		l.waiting(1)
		more := l.send("more", plain, "X-Prio", "1")
		less.got().turnedAway(t)
		ask(t, l.Server, chatPath, plain, "X-Prio", "2").turnedAway(t)
		for _, w := range []*waiter{hold, more} {
			l.pass()
			w.served()
		}
	})
}

func TestQueueServesTheMostImportantFirst(t *testing.T) {
	type request struct {
		name, fields string
		header       []string
	}
	prio := func(value string) []string { return []string{"X-Prio", value} }
	fields := func(name, priority string) request { return request{name: name, fields: `"priority":` + priority} }
	header := func(name, priority string) request {
		return request{name: name, fields: `"n":1`, header: prio(priority)}
	}
	for _, tt := range []struct {
		name, router string
		requests     []request
		want         []string
	}{
		{
			"by the body", "client_options priority",
			[]request{fields("late", "5"), fields("unset", "null"), fields("first", "-1"), fields("second", "0")},
			[]string{"first", "unset", "second", "late"},
		},
		{
			"by a header", "priority {header.X-Prio}",
			[]request{header("late", "5"), header("unset", ""), header("first", "-1000000"), header("second", "0")},
			[]string{"first", "unset", "second", "late"},
		},
		{
			"by the body before a header", "client_options priority\npriority {header.X-Prio}",
			[]request{{"second", `"priority":2`, prio("1")}, {"third", `"n":1`, prio("3")}, {"first", `"priority":1`, prio("9")}},
			[]string{"first", "second", "third"},
		},
		{
			"by the body before a default", "client_options priority\npriority 3",
			[]request{fields("late", "5"), fields("default", "null"), fields("first", "2")},
			[]string{"first", "default", "late"},
		},
		{
			"but not by a body that may not say", "client_options retries",
			[]request{fields("1", "5"), fields("2", "-1")},
			[]string{"1", "2"},
		},
		{
			"nor by what is no priority", "priority {header.X-Prio}",
			[]request{header("last", "1"), header("a", "high"), header("b", "1.5"), header("c", "-1000001"), header("d", "-1, -2"), header("e", "0")},
			[]string{"a", "b", "c", "d", "e", "last"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLane(t, "queue 10 20s", tt.router)
			l.hold(plain)
			for i, r := range tt.requests {
				l.send(r.name, with(r.fields), r.header...)
				l.waiting(i + 1)
			}
			for range len(tt.requests) + 1 {
				l.pass()
			}
			l.idle()
			if got := l.names()[1:]; !slices.Equal(got, tt.want) {
				t.Errorf("got the requests %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("also of forms", func(t *testing.T) {
		l := newLane(t, "queue 10 20s", "client_options priority\npriority {header.X-Prio}")
		l.hold(plain)
		for i, r := range []request{{"second", "-9", prio("2")}, {"first", "9", prio("1")}} {
			contentType, body := form(t, "model", "p", "priority", r.fields)
			l.sendTo("/v1/audio/transcriptions", r.name, body, append(r.header, "Content-Type", contentType)...)
			l.waiting(i + 1)
		}
		for range 3 {
			l.pass()
		}
		l.idle()
		if got, want := l.names()[1:], []string{"first", "second"}; !slices.Equal(got, want) {
			t.Errorf("got the requests %v, want %v", got, want)
		}
	})
}

func TestQueueIsFairBetweenTeams(t *testing.T) {
	l := newLane(t, "queue 10 20s", "team {header.X-Team}")
	l.hold(plain)
	for i, name := range []string{"a1", "a2", "a3", "b1"} {
		l.send(name, plain, "X-Team", name[:1])
		l.waiting(i + 1)
	}
	for range 5 {
		l.pass()
	}
	l.idle()
	if got, want := l.names()[1:], []string{"a1", "b1", "a2", "a3"}; !slices.Equal(got, want) {
		t.Errorf("got the requests %v, want %v", got, want)
	}
}

// What goes upstream is the priority that the request waited with.
func TestQueuePassesThePriorityOn(t *testing.T) {
	for _, tt := range []struct{ name, router, fields, header, want string }{
		{"of the body", "client_options priority", `"priority":-4`, "", `{"priority":-4,"model":"p",`},
		{"of the header", "priority {header.X-Prio}", `"priority":-4`, "7", `{"model":"p","priority":7,`},
		{"of the body before the header", "client_options priority\npriority {header.X-Prio}", `"priority":-4`, "7", `{"priority":-4,"model":"p",`},
		{"of the header where the body has none", "client_options priority\npriority {header.X-Prio}", `"priority":null`, "7", `{"priority":7,"model":"p",`},
		{"none where there is none", "client_options priority", `"priority":null`, "", `{"model":"p",`},
		{"none of a client's own", "", `"priority":-4`, "", `{"model":"p","priority":0,`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := scripted.New(t)
			s := routerWith(t, fmt.Sprintf("%s\npool p {\n\tdeployment a %s {\n\t\tpass_priority on\n\t}\n}", tt.router, a.URL))
			ask(t, s, chatPath, with(tt.fields), "X-Prio", tt.header).served(t, "ok", "a", 1, 0)
			if got := string(a.Last(t).Body); !strings.HasPrefix(got, tt.want+`"messages"`) {
				t.Errorf("the upstream got %s, want it to begin with %s", got, tt.want)
			}
		})
	}
}

func TestQueueForgetsClientsThatLeave(t *testing.T) {
	l := newLane(t, "queue 1 20s", "")
	hold, leaver := l.hold(plain), l.send("leaver", plain)
	l.waiting(1)
	leaver.leave()
	l.waiting(0)
	next := l.send("next", plain)
	l.waiting(1)
	for _, w := range []*waiter{hold, next} {
		l.pass()
		w.served()
	}
	l.idle()
	if got, want := l.names(), []string{"hold", "next"}; !slices.Equal(got, want) {
		t.Errorf("got the requests %v, want %v", got, want)
	}
}

// A stream takes its place until its last event, or until its client leaves.
func TestQueueWaitsForStreamsToEnd(t *testing.T) {
	for name, end := range map[string]func(*lane, io.ReadCloser){
		"its end": func(l *lane, answer io.ReadCloser) {
			l.pass()
			if text, err := io.ReadAll(answer); err != nil || !strings.HasSuffix(string(text), "data: [DONE]\n\n") {
				l.t.Errorf("got the rest %q and error %v, want the whole stream", text, err)
			}
		},
		"its client leaves": func(l *lane, answer io.ReadCloser) {
			answer.Close()
			l.a.WaitCanceled(l.t, 1) // or it would be let pass instead of the next
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLane(t, "queue 5 20s", "")
			events := scripted.ChatEvents("m", "one ", "two")
			l.a.Then(func(w http.ResponseWriter, r *http.Request) {
				scripted.Stream(0, events[:2]...)(w, r)
				l.holds(func(w http.ResponseWriter, _ *http.Request) {
					for _, e := range events[2:] {
						fmt.Fprintf(w, "data: %s\n\n", e)
					}
				})(w, r)
			})
			resp, err := l.Client().Post(l.URL(chatPath), "application/json", strings.NewReader(streamed))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadFull(resp.Body, make([]byte, 16)); err != nil {
				t.Fatalf("got %v, want the begin of the stream", err)
			}
			next := l.send("next", plain)
			l.waiting(1)
			counts(t, "a", l.a, 1)
			end(l, resp.Body)
			l.a.WaitCount(t, 2)
			l.pass()
			next.served()
			l.idle()
		})
	}
}
