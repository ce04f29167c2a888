package cli_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

// atHome gives Caddy a home that has to stay empty.
func atHome(t *testing.T) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("XDG_DATA_HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Cleanup(func() {
		if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
			t.Errorf("got %v, %v left on disk, want nothing", left, err)
		}
	})
}

func TestDemo(t *testing.T) {
	caddyharness.NoLeaks(t)
	atHome(t)
	// More requests than it takes, for a machine that is slow.
	got := run(t.Context(), t, "demo", "--fast", "--json", "--requests", "50")
	if got.failure != nil || got.err != "" {
		t.Fatalf("got %v, %s; want no error", got.failure, got.err)
	}
	var phase string
	served := make(map[string]map[string]int) // by phase and pool
	var changes []line
	lines := got.lines(t)
	for _, l := range lines[:len(lines)-1] {
		if l.Type == "event" {
			phase = l.Event
			served[phase] = make(map[string]int)
			continue
		}
		if !l.OK || l.Model != l.Pool {
			t.Errorf("got %+v, want success by a pool's own model", l)
		}
		served[phase][l.Pool]++
		if l.Change != "" {
			changes = append(changes, l)
		}
	}
	if n := served["started"]; n["llama-fp8"] != 5 || n["llama3"] != 0 {
		t.Errorf("before the failure: got %v, want the primary alone", n)
	}
	if n := served["primary_down"]; n["llama-fp8"] != 0 || n["llama3"] != 9 {
		t.Errorf("while the primary is down: got %v, want the backup alone", n)
	}
	if n := served["primary_up"]; n["llama-fp8"] == 0 {
		t.Errorf("after the primary's return: got %v, want some by the primary", n)
	}
	if len(changes) != 2 || changes[0].Change != "failover" || changes[1].Change != "recovery" {
		t.Fatalf("got changes %+v, want a failover and a recovery", changes)
	}
	if c := changes[0]; c.Request != 6 || c.Attempts != 2 || c.Fallbacks != 1 {
		t.Errorf("got failover %+v, want it within the first request after the failure", c)
	}
	sum := lines[len(lines)-1]
	if sum.Type != "summary" || sum.Requests != 50 || sum.Succeeded != 50 || sum.Failed != 0 || sum.Failovers != 1 || sum.Recoveries != 1 {
		t.Errorf("got summary %+v", sum)
	}
	if last := lines[len(lines)-2]; last.Pool != "llama-fp8" || last.Attempts != 1 {
		t.Errorf("got %+v at the end, want the primary at the first try", last)
	}
}

// Allowed is one failure, so the third request of an outage is the first that
// does not try the primary.
func TestDemoCoolsThePrimary(t *testing.T) {
	atHome(t)
	got := run(t.Context(), t, "demo", "--fast", "--json", "--requests", "8", "--down-after", "2", "--up-after", "9", "--cooldown", "1h")
	var attempts []int
	for _, l := range got.lines(t) {
		if l.Type == "request" {
			attempts = append(attempts, l.Attempts)
		}
	}
	want := []int{1, 1, 2, 2, 1, 1, 1, 1}
	if len(attempts) != len(want) {
		t.Fatalf("got attempts %v, want %v", attempts, want)
	}
	for i := range want {
		if attempts[i] != want[i] {
			t.Fatalf("got attempts %v, want %v", attempts, want)
		}
	}
}

func TestDemoInWords(t *testing.T) {
	caddyharness.NoLeaks(t)
	atHome(t)
	got := run(t.Context(), t, "demo", "--fast", "--stream", "--requests", "50", "--listen", "localhost:0")
	if got.failure != nil || got.err != "" {
		t.Fatalf("got %v, %s; want no error", got.failure, got.err)
	}
	rest := got.out
	for _, want := range []string{
		"-- The router at http://127.0.0.1:", "TIME", "FIRST TOKEN",
		"-- The primary goes down", "FAILOVER from llama-fp8/primary to llama3/backup within the request",
		"-- The primary is up again", "RECOVERY, back to llama-fp8/primary",
		"50 of 50 succeeded, 0 failed.", "llama-fp8/primary", "llama3/backup", "1 failover, 1 recovery.",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("got no %q where it should be:\n%s", want, got.out)
		}
		rest = after
	}
}

func TestDemoInterrupted(t *testing.T) {
	caddyharness.NoLeaks(t)
	atHome(t)
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	start := time.Now()
	got := run(ctx, t, "demo", "--interval", "1h")
	if took := time.Since(start); got.failure != nil || took > 10*time.Second {
		t.Errorf("got %v after %v, want no error and an end soon", got.failure, took)
	}
	if !strings.Contains(got.out, "1 of 1 succeeded, 0 failed.") {
		t.Errorf("got:\n%s\nwant a summary of what there was", got.out)
	}
	_, rest, _ := strings.Cut(got.out, "http://")
	address, _, _ := strings.Cut(rest, " ")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err == nil {
		conn.Close()
		t.Errorf("%s still accepts connections", address)
	}
}

// What cannot start says why, and leaves nothing running either.
func TestDemoOnATakenPort(t *testing.T) {
	caddyharness.NoLeaks(t)
	atHome(t)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := run(t.Context(), t, "demo", "--fast", "--listen", ln.Addr().String())
	if got.failure == nil || !strings.Contains(got.failure.Error(), "address already in use") || got.out != "" {
		t.Errorf("got %v:\n%s\nwant that the address is in use", got.failure, got.out)
	}
	if _, err := caddy.ActiveContext().AppIfConfigured("http"); !errors.Is(err, caddy.ErrNotConfigured) {
		t.Errorf("got %v, want no HTTP app", err)
	}
}
