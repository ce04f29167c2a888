package upstreams

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// sharedProbe is the transport of active health checks where several instances
// know the deployment: the one that has the lease checks, and the others take its
// word. Who does not hear of it in time checks for itself.
type sharedProbe struct {
	probeTransport
	others healthLink

	lease    time.Duration // a check's interval, and what a check may take
	patience time.Duration // how much of a check's time the lease may take

	// What Caddy looks for in an answer, besides its status.
	expect  *regexp.Regexp // nil for nothing
	maxBody int64
	follows bool // redirects
}

// healthLink is what instances tell each other of a deployment's health.
type healthLink interface {
	Lead(ctx context.Context, lease time.Duration) (bool, error)
	Result() (healthy bool, age time.Duration, ok bool)
	PublishResult(healthy bool, believed time.Duration)
}

const (
	// maxPatience bounds how long a check waits for the lease.
	maxPatience = 200 * time.Millisecond
	// maxExpected bounds how much of an answer is searched for what is expected.
	maxExpected = 1 << 20
)

// newSharedProbe makes the transport of checks that come every so often, and each
// end after timeout.
func newSharedProbe(probe probeTransport, others healthLink, checks *reverseproxy.ActiveHealthChecks, interval, timeout time.Duration) sharedProbe {
	t := sharedProbe{
		probeTransport: probe, others: others,
		lease: interval + timeout, patience: min(timeout/4, maxPatience),
		maxBody: maxExpected, follows: checks.FollowRedirects,
	}
	if checks.MaxSize > 0 {
		t.maxBody = min(t.maxBody, checks.MaxSize)
	}
	if checks.ExpectBody != "" {
		t.expect = regexp.MustCompile(checks.ExpectBody) // was compiled before
	}
	return t
}

// RoundTrip implements http.RoundTripper.
func (t sharedProbe) RoundTrip(r *http.Request) (*http.Response, error) {
	if isUpgrade(r.Context()) {
		return t.probeTransport.RoundTrip(r)
	}
	leads, err := t.leads(r.Context(), t.lease)
	if err == nil && !leads {
		if healthy, age, ok := t.others.Result(); ok {
			t.verdict.note(age)
			return t.answer(r, healthy)
		}
	}
	res, checkErr := t.probeTransport.RoundTrip(r)
	if err == nil && leads {
		t.publish(r, res, checkErr)
	}
	return res, checkErr
}

func (t sharedProbe) leads(ctx context.Context, lease time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	return t.others.Lead(ctx, lease)
}

// errElsewhere is why a check fails that another instance has made.
var errElsewhere = errors.New("another instance has checked it and found it unhealthy")

// answer is what another instance has found, as Caddy would see it.
func (t sharedProbe) answer(r *http.Request, healthy bool) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	if !healthy {
		return nil, errElsewhere
	}
	return &http.Response{
		StatusCode: t.goodStatus(), ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header),
		Body: io.NopCloser(strings.NewReader(goodBody)), ContentLength: int64(len(goodBody)), Request: r,
	}, nil
}

// publish tells the other instances what came of a check. The lease ends before
// that is forgotten, so that another one checks then. Who finds a deployment down
// gives the lease away: it may be the only one that cannot reach it.
func (t sharedProbe) publish(r *http.Request, res *http.Response, err error) {
	healthy, sure := t.judge(res, err)
	if !sure || errors.Is(r.Context().Err(), context.Canceled) { // by a config that goes
		return
	}
	t.others.PublishResult(healthy, t.verdict.believed)
	if !healthy {
		_, _ = t.leads(context.WithoutCancel(r.Context()), 0) // or it runs out
	}
}

// judge tells what Caddy will make of an answer, and whether that is the end of
// it: after a redirect it is not.
func (t sharedProbe) judge(res *http.Response, err error) (healthy, sure bool) {
	switch {
	case err != nil:
		return false, true
	case t.follows && res.StatusCode/100 == 3 && res.Header.Get("Location") != "":
		return false, false
	case !t.isGood(res.StatusCode):
		return false, true
	case t.expect == nil:
		return true, true
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, t.maxBody))
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), res.Body), res.Body}
	return err == nil && t.expect.Match(body), true
}

// isGood tells whether a status is one that Caddy takes for that of a healthy
// server.
func (t probeTransport) isGood(status int) bool {
	if t.status > 0 {
		return caddyhttp.StatusCodeMatches(status, t.status)
	}
	return status >= 200 && status < 300
}
