package retry

import (
	"testing"
	"time"
)

func TestDefaultPolicy(t *testing.T) {
	p := DefaultPolicy()
	if !p.Failover || p.Retries != 2 || p.Budget != nil {
		t.Errorf("got failover %v, %d retries, budget %v, want true, 2, nil", p.Failover, p.Retries, p.Budget)
	}
	if want := (Backoff{500 * time.Millisecond, 8 * time.Second}); p.Backoff != want {
		t.Errorf("backoff: got %+v, want %+v", p.Backoff, want)
	}
	if p.MaxWait != time.Minute || p.MaxWaitWithFallback != 5*time.Second {
		t.Errorf("max wait: got %v and %v, want 1m and 5s", p.MaxWait, p.MaxWaitWithFallback)
	}
	for c, n := range p.ClassRetries {
		if n != -1 {
			t.Errorf("%v: got %d, want not set", Class(c), n)
		}
	}
}

// retried are the classes that pass by themselves.
var retried = map[Class]bool{Connection: true, RateLimit: true, Overloaded: true, ServerError: true}

func TestRetriesForDefaults(t *testing.T) {
	p := DefaultPolicy()
	p.Retries = 3
	for c := range NumClasses {
		want := 0
		if retried[c] {
			want = 3
		}
		if got := p.RetriesFor(c); got != want {
			t.Errorf("%v: got %d, want %d", c, got, want)
		}
	}
}

func TestRetriesForClassOfItsOwn(t *testing.T) {
	p := DefaultPolicy()
	p.ClassRetries[Timeout] = 1
	p.ClassRetries[RateLimit] = 0
	p.ClassRetries[ServerError] = 7
	for c, want := range map[Class]int{Timeout: 1, RateLimit: 0, ServerError: 7, Overloaded: 2, NumClasses: 0, 255: 0} {
		if got := p.RetriesFor(c); got != want {
			t.Errorf("%v: got %d, want %d", c, got, want)
		}
	}
}

func TestRetriesForNegativeIsNone(t *testing.T) {
	p := DefaultPolicy()
	p.Retries = -4
	if got := p.RetriesFor(ServerError); got != 0 {
		t.Errorf("got %d, want 0", got)
	}
}

func TestShouldRetry(t *testing.T) {
	for c := range NumClasses + 1 {
		want := retried[c] || c == Timeout
		if got := ShouldRetry(c); got != want {
			t.Errorf("%v: got %v, want %v", c, got, want)
		}
	}
}
