package upstreams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// healthOf is what the others of a deployment say, and what they were told.
type healthOf struct {
	leads   bool
	err     error
	slow    time.Duration // until the lease is answered
	result  string        // healthy or unhealthy; empty for none
	age     time.Duration
	asked   []time.Duration // the leases that were asked for
	tellsOf []string
}

func (h *healthOf) Lead(ctx context.Context, lease time.Duration) (bool, error) {
	h.asked = append(h.asked, lease)
	select {
	case <-time.After(h.slow):
		return h.leads, h.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (h *healthOf) Result() (healthy bool, age time.Duration, ok bool) {
	return h.result == "healthy", h.age, h.result != ""
}

func (h *healthOf) PublishResult(healthy bool, believed time.Duration) {
	h.tellsOf = append(h.tellsOf, fmt.Sprint(healthy, " ", believed))
}

// answers is a transport that gives one answer and counts how often it did.
type answers struct {
	status   int // 0: none comes
	body     string
	location string
	asked    int
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked++
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if a.status == 0 {
		return nil, errors.New("refused")
	}
	res := response(a.status, "", strings.NewReader(a.body))
	if a.location != "" {
		res.Header.Set("Location", a.location)
	}
	return res, nil
}

// checksEvery10s sets up a deployment's checks as the config does.
func checksEvery10s(t *testing.T, checks reverseproxy.ActiveHealthChecks, upstream http.RoundTripper, others healthLink) sharedProbe {
	t.Helper()
	d := bareDeployment(t, "http://h")
	checks.URI, checks.Interval, checks.Timeout = "/health", caddy.Duration(10*time.Second), caddy.Duration(2*time.Second)
	proxy := checkedProxy(&checks)
	proxy.Transport = upstream
	if err := d.prepareHealthChecks(proxy, "p"); err != nil {
		t.Fatal(err)
	}
	return newSharedProbe(proxy.Transport.(probeTransport), others, &checks, 10*time.Second, 2*time.Second)
}

func check(t *testing.T, ctx context.Context, p sharedProbe) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://h/health", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	return p.RoundTrip(r)
}

func TestWhoChecks(t *testing.T) {
	for _, test := range []struct {
		name   string
		others healthOf
		asks   bool // the upstream itself
		tells  bool
		good   bool
	}{
		{"the leader", healthOf{leads: true}, true, true, true},
		{"the leader, whatever was found before", healthOf{leads: true, result: "unhealthy"}, true, true, true},
		{"who knows that it is healthy", healthOf{result: "healthy", age: time.Second}, false, false, true},
		{"who knows that it is unhealthy", healthOf{result: "unhealthy", age: time.Second}, false, false, false},
		{"who has heard nothing", healthOf{}, true, false, true},
		{"nobody can tell who leads", healthOf{err: errors.New("down"), result: "unhealthy"}, true, false, true},
		{"who waited too long for it", healthOf{leads: true, slow: time.Minute, result: "unhealthy"}, true, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				upstream, others := &answers{status: 200}, test.others
				p := checksEvery10s(t, reverseproxy.ActiveHealthChecks{}, upstream, &others)
				begin := time.Now()
				res, err := check(t, t.Context(), p)
				if took := time.Since(begin); took > maxPatience {
					t.Errorf("it took %v, want at most %v for the lease", took, maxPatience)
				}
				if (upstream.asked > 0) != test.asks {
					t.Errorf("got %d requests to the upstream, want some: %v", upstream.asked, test.asks)
				}
				var want []string
				if test.tells {
					want = []string{"true 22s"}
				}
				if !slices.Equal(others.tellsOf, want) {
					t.Errorf("got %q told, want %q", others.tellsOf, want)
				}
				if good := err == nil && res.StatusCode == 200; good != test.good {
					t.Errorf("got %v and %v, want it good: %v", res, err, test.good)
				}
				if len(others.asked) != 1 || others.asked[0] != 12*time.Second {
					t.Errorf("got leases of %v, want one of the interval and a timeout", others.asked)
				}
				wantEnded := begin.Add(-others.age)
				if ended := p.verdict.ended.Load(); ended == nil || !test.asks && !ended.Equal(wantEnded) {
					t.Errorf("got a check noted at %v, want one at %v", ended, wantEnded)
				}
			})
		})
	}
}

// What the leader tells is what its own Caddy makes of the answer.
func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name   string
		checks reverseproxy.ActiveHealthChecks
		answer answers
		want   string // true, false, or nothing is told
	}{
		{"fine", reverseproxy.ActiveHealthChecks{}, answers{status: 204}, "true"},
		{"down", reverseproxy.ActiveHealthChecks{}, answers{status: 503}, "false"},
		{"no answer", reverseproxy.ActiveHealthChecks{}, answers{}, "false"},
		{"busy", reverseproxy.ActiveHealthChecks{}, answers{status: 429}, "true"},
		{"the status that is expected", reverseproxy.ActiveHealthChecks{ExpectStatus: 401}, answers{status: 401}, "true"},
		{"the kind of status that is expected", reverseproxy.ActiveHealthChecks{ExpectStatus: 4}, answers{status: 401}, "true"},
		{"another status", reverseproxy.ActiveHealthChecks{ExpectStatus: 401}, answers{status: 200}, "false"},
		{"a redirect", reverseproxy.ActiveHealthChecks{}, answers{status: 302, location: "/"}, "false"},
		{"a redirect that is followed", reverseproxy.ActiveHealthChecks{FollowRedirects: true}, answers{status: 302, location: "/"}, ""},
		{"the body that is expected", reverseproxy.ActiveHealthChecks{ExpectBody: "^ok"}, answers{status: 200, body: "ok then"}, "true"},
		{"busy, with a body expected", reverseproxy.ActiveHealthChecks{ExpectBody: "^ok"}, answers{status: 429, body: "no"}, "true"},
		{"another body", reverseproxy.ActiveHealthChecks{ExpectBody: "^ok"}, answers{status: 200, body: "loading"}, "false"},
		{"the body beyond what is read", reverseproxy.ActiveHealthChecks{ExpectBody: "ok", MaxSize: 4}, answers{status: 200, body: "xxxxok"}, "false"},
	} {
		t.Run(test.name, func(t *testing.T) {
			others := healthOf{leads: true}
			p := checksEvery10s(t, test.checks, &test.answer, &others)
			res, err := check(t, t.Context(), p)
			if err == nil && test.answer.status != 429 {
				if body, _ := io.ReadAll(res.Body); string(body) != test.answer.body {
					t.Errorf("got %q left for Caddy, want %q", body, test.answer.body)
				}
			}
			var want []string
			if test.want != "" {
				want = []string{test.want + " 22s"}
			}
			if !slices.Equal(others.tellsOf, want) {
				t.Errorf("got %q told, want %q", others.tellsOf, want)
			}
			if last := others.asked[len(others.asked)-1]; (last == 0) != (test.want == "false") {
				t.Errorf("got a lease of %v in the end, want it given away when it found the deployment down, and only then", last)
			}
		})
	}
	t.Run("a check that a reload cuts short says nothing", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		others := healthOf{leads: true}
		p := checksEvery10s(t, reverseproxy.ActiveHealthChecks{}, &answers{status: 200}, &others)
		p.others = leader{&others} // was it before
		if _, err := check(t, ctx, p); err == nil {
			t.Fatal("got an answer, want an error")
		}
		if len(others.tellsOf) > 0 {
			t.Errorf("got %q told, want nothing", others.tellsOf)
		}
	})
}

// leader leads, whatever has become of the request.
type leader struct{ *healthOf }

func (leader) Lead(context.Context, time.Duration) (bool, error) { return true, nil }

// What others found passes for the answer that Caddy waits for.
func TestAnswerOfOthers(t *testing.T) {
	for _, checks := range []reverseproxy.ActiveHealthChecks{{}, {ExpectStatus: 204}, {ExpectStatus: 4}, {ExpectBody: "^ok$"}} {
		p := checksEvery10s(t, checks, &answers{}, &healthOf{result: "healthy"})
		res, err := check(t, t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if healthy, sure := p.judge(res, err); !healthy || !sure {
			t.Errorf("%+v: got %d, which Caddy does not take for healthy", checks, res.StatusCode)
		}
	}
}

func TestUpgradesAreNoSharedChecks(t *testing.T) {
	others, upstream := healthOf{result: "unhealthy"}, answers{status: 101}
	p := checksEvery10s(t, reverseproxy.ActiveHealthChecks{}, &upstream, &others)
	res, err := check(t, context.WithValue(t.Context(), upgradeKey{}, true), p)
	if err != nil || res.StatusCode != 101 || others.asked != nil {
		t.Errorf("got %v, %v and %v asked for, want the upstream's own answer", res, err, others.asked)
	}
}
