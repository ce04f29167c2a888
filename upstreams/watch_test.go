package upstreams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func TestWatchEndsAnAttemptAtItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t.Context(), time.Second)
		defer w.stop()
		time.Sleep(time.Second - time.Nanosecond)
		synctest.Wait()
		if err := w.ctx.Err(); err != nil {
			t.Fatalf("ended before its limit: %v", err)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := context.Cause(w.ctx); got != errLimit {
			t.Errorf("got cause %v, want %v", got, errLimit)
		}
	})
}

func TestWatchBoundsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t.Context(), time.Second)
		defer w.stop()
		w.limit(time.Minute) // from here on only silence counts
		for range 5 {
			time.Sleep(59 * time.Second)
			w.alive()
		}
		synctest.Wait()
		if err := w.ctx.Err(); err != nil {
			t.Fatalf("ended although it was never silent for a minute: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := context.Cause(w.ctx); got != errLimit {
			t.Errorf("got cause %v, want %v", got, errLimit)
		}
	})
}

func TestWatchWithoutIdleLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t.Context(), time.Second)
		defer w.stop()
		w.limit(0)
		w.alive()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if err := w.ctx.Err(); err != nil {
			t.Errorf("got %v, want an attempt without end", err)
		}
	})
}

// What ends the silence does not end the limit of the whole.
func TestWatchPauseKeepsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t.Context(), time.Second)
		defer w.stop()
		w.alive()
		w.pause()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := context.Cause(w.ctx); got != errLimit {
			t.Errorf("got cause %v, want %v", got, errLimit)
		}
	})
}

func TestWatchBoundsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t.Context(), time.Hour)
		defer w.stop()
		w.limit(time.Minute)
		w.within(time.Second)
		for range 2 { // an upstream that goes on and on
			time.Sleep(time.Second / 2)
			w.alive()
			w.pause()
		}
		synctest.Wait()
		if got := context.Cause(w.ctx); got != errLimit {
			t.Errorf("got cause %v, want %v", got, errLimit)
		}
	})
}

// A body that comes slowly, in pieces of an event, is not silent.
func TestSourceIsSilentOnlyWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t.Context(), time.Hour)
		defer w.stop()
		w.limit(time.Minute)
		s := source{body: &slow{every: 50 * time.Second, n: 10}, watch: w}
		if _, err := io.Copy(io.Discard, &s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // whoever has the last piece takes his time
		synctest.Wait()
		if err := w.ctx.Err(); err != nil {
			t.Errorf("ended although it was never silent for a minute: %v", context.Cause(w.ctx))
		}
		s.body = &slow{every: 61 * time.Second, n: 1}
		_, _ = io.Copy(io.Discard, &s)
		if got := context.Cause(w.ctx); got != errLimit {
			t.Errorf("got cause %v after 61 s of silence, want %v", got, errLimit)
		}
	})
}

// slow gives n bytes, each after a while.
type slow struct {
	every time.Duration
	n     int
}

func (s *slow) Read(p []byte) (int, error) {
	if s.n == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.every)
	s.n--
	return copy(p, "x"), nil
}

func TestWatchStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t.Context(), time.Second)
		w.stop()
		if got := context.Cause(w.ctx); got == nil || got == errLimit {
			t.Errorf("got cause %v, want a plain cancellation", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := context.Cause(w.ctx); got == errLimit {
			t.Error("a stopped watch expired")
		}
	})
}

func TestWatchEndsWithItsRequest(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	w := newWatch(parent, time.Minute)
	defer w.stop()
	cancel()
	<-w.ctx.Done()
	if got := context.Cause(w.ctx); got != context.Canceled {
		t.Errorf("got cause %v, want %v", got, context.Canceled)
	}
}

func TestIsTimeout(t *testing.T) {
	slow := os.ErrDeadlineExceeded // a net.Error that is a timeout
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"no error", nil, false},
		{"response headers did not come", &net.OpError{Op: "read", Err: slow}, true},
		{"wrapped", fmt.Errorf("round trip: %w", &net.OpError{Op: "read", Err: slow}), true},
		{"dial", &net.OpError{Op: "dial", Err: slow}, false},
		{"Caddy's dial", reverseproxy.NewDialError(&net.OpError{Op: "read", Err: slow}), false},
		{"deadline of a context", context.DeadlineExceeded, true},
		{"reset", &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, false},
		{"aborted", http.ErrAbortHandler, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := isTimeout(tt.err); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// The timer may fire for the limit before while the next one is set.
func TestWatchThatHasFiredHeedsTheNewLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t.Context(), time.Hour)
		defer w.stop()
		w.limit(time.Minute)
		w.alive()
		time.Sleep(time.Minute - time.Nanosecond)
		w.within(time.Second)
		w.expire() // came late
		if err := w.ctx.Err(); err != nil {
			t.Fatalf("ended by a limit that no longer holds: %v", context.Cause(w.ctx))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := context.Cause(w.ctx); got != errLimit {
			t.Errorf("got cause %v, want %v", got, errLimit)
		}
	})
}
