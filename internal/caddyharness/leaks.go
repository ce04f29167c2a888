package caddyharness

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// leakTimeout is how long goroutines that are about to end may take.
const leakTimeout = 5 * time.Second

// NoLeaks fails the test if, after everything else that it has set up is torn
// down, goroutines are left that were not there before. It shows their stacks.
// Call it first, so that its check comes last.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := goroutines()
	t.Cleanup(func() {
		for _, stack := range leaked(before, leakTimeout) {
			t.Errorf("goroutine left behind:\n%s", stack)
		}
	})
}

// leaked returns the stacks of the goroutines that are not in before and do not
// end within the timeout.
func leaked(before map[string]string, timeout time.Duration) []string {
	deadline := time.Now().Add(timeout)
	for {
		var stacks []string
		for id, stack := range goroutines() {
			if _, old := before[id]; !old && !staysWithTheProcess(stack) {
				stacks = append(stacks, stack)
			}
		}
		if len(stacks) == 0 || time.Now().After(deadline) {
			return stacks
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// staysWithTheProcess knows the goroutines that Go, Caddy and its libraries
// start once and never end, or end by themselves after a while.
func staysWithTheProcess(stack string) bool {
	for _, known := range []string{
		"testing.(*T).Run(", "testing.(*M).", "testing.runFuzz", "testing.tRunner(",
		"os/signal.", "runtime.ReadTrace",
		"certmagic.(*Cache).maintainAssets", "certmagic.(*RingBufferRateLimiter).",
		"certmagic.(*jobManager).", "certmagic.keepLockfileFresh(",
	} {
		if strings.Contains(stack, known) {
			return true
		}
	}
	return false
}

// goroutines are the stacks of all goroutines but the calling one, by id.
func goroutines() map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	out := make(map[string]string)
	for i, stack := range strings.Split(string(buf), "\n\n") {
		if i == 0 { // the caller's own
			continue
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		out[id] = stack
	}
	return out
}
