package upstreams

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// writes is a client that remembers what each write brought.
type writes struct {
	http.ResponseWriter
	got []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.got = append(w.got, string(p))
	return len(p), nil
}

func TestEventsThatComeTogetherAreWrittenTogether(t *testing.T) {
	const (
		oops   = "data: {\"choices\": oops\n\n"
		failed = `data: {"error":{"message":"overloaded","type":"overloaded_error"}}` + "\n\n"
	)
	for _, tt := range []struct {
		name   string
		pieces []string // one for each read
		want   []string // one for each write, behind the first content
		class  retry.Class
	}{
		{"all", []string{textEvent + textEvent + textEvent, finishEvent + usageEvent + doneEvent},
			[]string{textEvent + textEvent + textEvent, finishEvent + usageEvent + doneEvent}, retry.None},
		{"one by one", []string{textEvent, textEvent, finishEvent, doneEvent},
			[]string{textEvent, textEvent, finishEvent, doneEvent}, retry.None},
		{"cut in pieces", []string{textEvent + textEvent[:20], textEvent[20:] + finishEvent + doneEvent[:4], doneEvent[4:]},
			[]string{textEvent, textEvent + finishEvent, doneEvent}, retry.None},
		{"with a malformed one among them", []string{textEvent + textEvent + oops + textEvent + finishEvent, oops + doneEvent},
			[]string{textEvent + textEvent, textEvent + finishEvent, doneEvent}, retry.None},
		{"up to an error", []string{textEvent + textEvent + failed},
			[]string{textEvent + textEvent}, retry.Overloaded},
		{"without a last line end", []string{textEvent + finishEvent + doneEvent[:len(doneEvent)-2]},
			[]string{textEvent + finishEvent, doneEvent}, retry.None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := bareDeployment(t, "http://h/v1")
				d.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
					res := response(200, "text/event-stream", nil)
					res.Body = &slowBody{ctx: r.Context(), pieces: append([]string{roleEvent + textEvent}, tt.pieces...), err: io.EOF}
					return res, nil
				})
				x, w := newExchange(t, post("/v1/chat/completions"), chatBody)
				client := &writes{ResponseWriter: w}
				x.w, x.control = client, *http.NewResponseController(w)
				a := attemptOn(d)
				a.Limit, a.Idle = time.Hour, time.Minute
				if out := x.Attempt(t.Context(), a); out.Class != retry.None {
					t.Fatalf("got %v, %v before the delivery", out.Class, out.Err)
				}
				if out := x.Deliver(t.Context(), a); out.Class != tt.class {
					t.Errorf("got %v, %v, want %v", out.Class, out.Err, tt.class)
				}
				if want := append([]string{roleEvent + textEvent}, tt.want...); !slices.Equal(client.got, want) {
					t.Errorf("got writes\n%q, want\n%q", client.got, want)
				}
			})
		})
	}
}
