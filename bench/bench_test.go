package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/llmrouter/caddy-llm-router"
)

// asCaddy makes the test binary the Caddy that it measures, so that none has to be
// built.
const asCaddy = "BENCH_TEST_AS_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// ownCaddy is a binary for proxies.
func ownCaddy(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the time and memory of a process are read from /proc")
	}
	t.Setenv(asCaddy, "1")
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func TestARunMeasuresEveryProxy(t *testing.T) {
	binary := ownCaddy(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var table strings.Builder
	err := run(ctx, &table, []string{
		"-caddy", binary, "-router", binary, "-rounds", "1", "-duration", "100ms", "-warm-up", "50ms",
		"-proxies", "direct,caddy,router,full,pools,deployments,dead", "-scenarios", "json-1k-alone,sse-unpaced",
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(table.String()), "\n")[1:]
	if len(lines) != 7*2 {
		t.Fatalf("got %d lines, want one for each of seven proxies in two scenarios:\n%s", len(lines), &table)
	}
	for _, line := range lines {
		// Ratios of a load without a proxy and of the reference are not there.
		missing := strings.Count(line, " -")
		switch name := strings.Fields(line)[1]; name {
		case direct:
			if missing != 4 {
				t.Errorf("got %s, want its time, no CPU and no memory", line)
			}
		case plainCaddy:
			if missing != 3 {
				t.Errorf("got %s, want all but ratios to itself", line)
			}
		default:
			if missing != 0 {
				t.Errorf("got %s, want all of it", line)
			}
		}
	}
}

func TestOpenStreamsAreMeasured(t *testing.T) {
	binary := ownCaddy(t)
	u, err := newUpstream()
	if err != nil {
		t.Fatal(err)
	}
	defer u.server.Close()
	b := bench{upstreams: []*upstream{u, u}, dir: t.TempDir()}
	p, err := startProxy(t.Context(), binary, caddyConfig, "", b.dir, b.upstreams)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	b.upstreams = b.upstreams[:1] // the two are one
	s := &scenario{clients: 20, size: 1 << 10, events: 1000, interval: 10 * time.Millisecond, memory: true}
	if got, err := b.measure(t.Context(), s, p.addr, p); err != nil || got.rss <= 0 {
		t.Errorf("got %d bytes for a stream, %v, want some", got.rss, err)
	}
}

func TestAProxyThatFailsIsNotMeasured(t *testing.T) {
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"an error":                 {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "status 502"},
		"another answer":           {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }, "an answer of 2 bytes"},
		"an answer of no upstream": {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(answer)) }, "0 of"},
		"a stream that is cut":     {func(w http.ResponseWriter, _ *http.Request) { cut(w, eventBegin+"1}\n\n") }, "unexpected EOF"},
		"a stream of no events":    {func(w http.ResponseWriter, _ *http.Request) { cut(w, "") }, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			b := bench{duration: 20 * time.Millisecond, warmUp: 10 * time.Millisecond}
			s := &scenario{clients: 2, size: 1 << 10}
			if _, err := b.measure(t.Context(), s, strings.TrimPrefix(server.URL, "http://"), nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that says %q", err, tt.want)
			}
		})
	}
}

func cut(w http.ResponseWriter, events string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Write([]byte(events))
}

func TestChatsAreOfTheirSize(t *testing.T) {
	for _, s := range scenarios {
		body := chat(s.size, s.modelLast, s.events > 0)
		var got struct {
			Model  string
			Stream bool
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || len(body) != s.size {
			t.Fatalf("%s: got %d bytes and error %v, want %d", s.name, len(body), err, s.size)
		}
		if got.Model != "bench-model" || got.Stream != (s.events > 0) || s.modelLast != strings.HasSuffix(body, `"model":"bench-model"}`) {
			t.Errorf("%s: got %+v in %.60s ... %s", s.name, got, body, body[len(body)-40:])
		}
	}
}

func TestRatiosAreTakenWithinARound(t *testing.T) {
	samples := []sample{
		{proxy: plainCaddy, scenario: "json-1k", round: 0, cpu: 100},
		{proxy: router, scenario: "json-1k", round: 0, cpu: 80},
		{proxy: plainCaddy, scenario: "json-1k", round: 1, cpu: 1000}, // a busy round
		{proxy: router, scenario: "json-1k", round: 1, cpu: 900},
		{proxy: plainCaddy, scenario: "json-1k", round: 2, cpu: 400},
		{proxy: router, scenario: "json-1k", round: 2, cpu: 40},
	}
	cpu := func(s *sample) float64 { return float64(s.cpu) }
	if got := ratio(samples, "json-1k", router, plainCaddy, cpu); got != 0.8 {
		t.Errorf("got %v, want the median of 0.8, 0.9 and 0.1", got)
	}
	if got := ratio(samples, "json-1k", plainCaddy, plainCaddy, cpu); got != 0 {
		t.Errorf("got %v, want no ratio of the reference to itself", got)
	}
}

func TestScenariosByName(t *testing.T) {
	for prefixes, want := range map[string]int{"json-1k": 2, "json-1k-alone": 1, "json,sse,streams": len(scenarios)} {
		if got, err := scenariosNamed(prefixes); err != nil || len(got) != want {
			t.Errorf("%s: got %d, %v, want %d", prefixes, len(got), err, want)
		}
	}
	if _, err := scenariosNamed("json,x"); err == nil {
		t.Error("got no error for an unknown name, want one")
	}
}

func TestProxiesByName(t *testing.T) {
	list, err := proxiesNamed("direct,caddy,full", "plain", "other")
	if err != nil || len(list) != 3 || list[0].binary != "" || list[1].binary != "plain" || list[2].binary != "other" || list[2].config != fullConfig {
		t.Errorf("got %v, %v, want three", list, err)
	}
	for _, names := range []string{"", "nginx", "caddy,caddy"} {
		if _, err := proxiesNamed(names, "plain", "other"); err == nil {
			t.Errorf("%q: got no error, want one", names)
		}
	}
}
