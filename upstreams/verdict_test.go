package upstreams

import (
	"net/http"
	"testing"
	"time"
)

// testVerdict is one of checks every 100 ms that may take 50 ms.
func testVerdict(now func() time.Time, healthy bool) *verdict {
	return &verdict{healthy: func() bool { return healthy }, believed: 250 * time.Millisecond, now: now}
}

func TestVerdict(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name    string
		healthy bool
		ends    []time.Duration // of checks
		at      time.Duration
		want    bool
	}{
		{"healthy", true, []time.Duration{0}, 0, true},
		{"healthy, long ago", true, []time.Duration{0}, time.Hour, true},
		{"never checked", false, nil, 0, true},
		{"just found down", false, []time.Duration{0}, 0, false},
		{"down at the bound", false, []time.Duration{0}, 250 * ms, false},
		{"down past the bound", false, []time.Duration{0}, 251 * ms, true},
		{"down, and checked since", false, []time.Duration{0, 100 * ms, 200 * ms}, 450 * ms, false},
		{"down, and not checked any more", false, []time.Duration{0, 100 * ms, 200 * ms}, 451 * ms, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			now := start
			v := testVerdict(func() time.Time { return now }, tt.healthy)
			for _, end := range tt.ends {
				now = start.Add(end)
				v.note(0)
			}
			now = start.Add(tt.at)
			if got := v.usable(); got != tt.want {
				t.Errorf("got usable %t, want %t", got, tt.want)
			}
		})
	}
}

// A healthy deployment costs no look at the clock.
func TestVerdictOfTheHealthyAsksNoClock(t *testing.T) {
	v := testVerdict(func() time.Time { t.Error("the clock was asked"); return time.Time{} }, true)
	if !v.usable() {
		t.Error("got a healthy deployment that is not usable")
	}
	if got := testing.AllocsPerRun(100, func() { v.usable() }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// hangingTransport answers when it is let, whatever the request's deadline.
type hangingTransport struct{ begun, release chan struct{} }

func (h hangingTransport) RoundTrip(*http.Request) (*http.Response, error) {
	h.begun <- struct{}{}
	<-h.release
	return nil, http.ErrHandlerTimeout
}

// A check that hangs says nothing, until it has ended.
func TestVerdictWhileACheckHangs(t *testing.T) {
	start := time.Now()
	now := start
	v := testVerdict(func() time.Time { return now }, false)
	v.note(0)
	hanging := hangingTransport{make(chan struct{}), make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, _ := http.NewRequest(http.MethodGet, "http://h/", nil)
		_, _ = probeTransport{proxyTransport: proxyTransport{hanging}, verdict: v}.RoundTrip(req)
	}()
	<-hanging.begun
	if v.usable() {
		t.Error("got it usable right after a check that failed")
	}
	now = start.Add(time.Second)
	if !v.usable() {
		t.Error("got an old result believed while a check hangs")
	}
	close(hanging.release)
	<-done
	if v.usable() {
		t.Error("got the result of the check that has ended not believed")
	}
}
