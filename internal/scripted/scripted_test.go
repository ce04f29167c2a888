package scripted

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newClient(t *testing.T, tr *http.Transport) *http.Client {
	t.Helper()
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func post(t *testing.T, u *Upstream, body string) (*http.Response, string, error) {
	t.Helper()
	resp, err := newClient(t, &http.Transport{}).Post(u.URL+"/v1/chat/completions?a=b", "application/json", strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func TestStepsAreTakenInOrderAndThenTheDefault(t *testing.T) {
	u := New(t).Then(Error(429, "tokens", "rate_limit_exceeded", "slow"), Reply(500, http.Header{"x-a": {"1"}}, "oops"))
	want := []struct {
		status int
		body   string
	}{{429, `"code":"rate_limit_exceeded"`}, {500, "oops"}, {200, `"content":"ok"`}, {200, `"content":"ok"`}}
	for i, w := range want {
		resp, body, err := post(t, u, "{}")
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != w.status || !strings.Contains(body, w.body) {
			t.Errorf("request %d: got %d %s, want %d and %s", i, resp.StatusCode, body, w.status, w.body)
		}
		if got := resp.Header.Get("X-A"); i == 1 && got != "1" {
			t.Errorf("got header %q, want 1", got)
		}
	}
	u.Always(Reply(418, nil, ""))
	if resp, _, err := post(t, u, "{}"); err != nil || resp.StatusCode != 418 {
		t.Errorf("got %v, %v after Always; want 418", resp, err)
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	u := New(t)
	before := time.Now()
	if _, _, err := post(t, u, `{"x":1}`); err != nil {
		t.Fatal(err)
	}
	u.WaitIdle(t)
	got := u.Last(t)
	if got.Method != "POST" || got.Path != "/v1/chat/completions" || got.Query.Get("a") != "b" ||
		string(got.Body) != `{"x":1}` || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %+v", got)
	}
	if got.At.Before(before) || !got.Done || got.Canceled {
		t.Errorf("got at %v, done %v, canceled %v; want a time since %v, done, not canceled", got.At, got.Done, got.Canceled, before)
	}
	if u.Count() != 1 {
		t.Errorf("got count %d, want 1", u.Count())
	}
}

func TestOKFollowsTheRequest(t *testing.T) {
	u := New(t).Always(OK("Hi there"))
	_, body, err := post(t, u, `{"model":"m1"}`)
	if err != nil || !json.Valid([]byte(body)) {
		t.Fatalf("got %v, %s", err, body)
	}
	for _, want := range []string{`"model":"m1"`, `"content":"Hi there"`, `"finish_reason":"stop"`, `"completion_tokens":2`} {
		if !strings.Contains(body, want) {
			t.Errorf("want %s in %s", want, body)
		}
	}
	for query, usage := range map[string]int{
		`{"model":"m1","stream":true}`:                                         0,
		`{"model":"m1","stream":true,"stream_options":{"include_usage":true}}`: 1,
	} {
		resp, body, err := post(t, u, query)
		if err != nil || resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("got %v, %v", err, resp.Header)
		}
		events := strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n")
		if len(events) != 5+usage || events[len(events)-1] != "data: [DONE]" {
			t.Errorf("got %d events, want %d: %s", len(events), 5+usage, body)
		}
		for _, e := range events[:len(events)-1] {
			if !json.Valid([]byte(strings.TrimPrefix(e, "data: "))) {
				t.Errorf("event is not JSON: %s", e)
			}
		}
		if got := strings.Count(body, `"usage"`); got != usage {
			t.Errorf("got %d usages, want %d", got, usage)
		}
	}
}

func TestStreamKeepsWireFormat(t *testing.T) {
	u := New(t).Then(Stream(0, `{"a":1}`, ": ping", "event: error\ndata: {}", "data: x\n\n"), Lines(0, `{"a":1}`, `{"b":2}`))
	_, body, err := post(t, u, "{}")
	if want := "data: {\"a\":1}\n\n: ping\n\nevent: error\ndata: {}\n\ndata: x\n\n"; err != nil || body != want {
		t.Errorf("got %q, %v; want %q", body, err, want)
	}
	_, body, err = post(t, u, "{}")
	if want := "{\"a\":1}\n{\"b\":2}\n"; err != nil || body != want {
		t.Errorf("got %q, %v; want %q", body, err, want)
	}
}

func TestCutAfterBreaksTheBody(t *testing.T) {
	whole := strings.Join(ChatEvents("m", "a"), "")
	for _, n := range []int{0, 10, 100} {
		u := New(t).Always(CutAfter(n, Chat(0, "a")))
		resp, body, err := post(t, u, "{}")
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(body) != n {
			t.Errorf("cut after %d: got %d bytes, error %v; want an unexpected EOF", n, len(body), err)
		}
		if resp == nil || resp.StatusCode != 200 {
			t.Errorf("cut after %d: got no headers", n)
		}
	}
	u := New(t).Always(CutAfter(10*len(whole), Chat(0, "a")))
	if _, body, err := post(t, u, "{}"); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasSuffix(body, "[DONE]\n\n") {
		t.Errorf("cut after the end: got %q, error %v; want the whole body and an unexpected EOF", body, err)
	}
}

func TestResetBeforeHeaders(t *testing.T) {
	u := New(t).Always(ResetBeforeHeaders())
	if _, _, err := post(t, u, "{}"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got error %v, want a connection reset", err)
	}
}

func TestStepsThatHangNoticeTheClientLeaving(t *testing.T) {
	tests := []struct {
		name string
		step Step
		head bool // headers arrive
		text string
	}{
		{"Hang", Hang(), false, ""},
		{"HeadersThenHang", HeadersThenHang(200, nil), true, ""},
		{"StallAfter", StallAfter("a", "b"), true, "data: a\n\ndata: b\n\n"},
		{"After", After(time.Hour, OK("late")), false, ""},
		{"Stream with an interval", Stream(time.Hour, "a", "b"), true, "data: a\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := New(t).Always(tt.step)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, _ := http.NewRequestWithContext(ctx, "POST", u.URL, strings.NewReader("{}"))
			if tt.head {
				resp, err := newClient(t, &http.Transport{}).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				got := make([]byte, len(tt.text))
				if _, err := io.ReadFull(bufio.NewReader(resp.Body), got); err != nil || string(got) != tt.text {
					t.Errorf("got %q, %v; want %q", got, err, tt.text)
				}
			} else {
				ended := make(chan error, 1)
				go func() {
					_, err := newClient(t, &http.Transport{}).Do(r)
					ended <- err
				}()
				u.WaitCount(t, 1)
				defer func() {
					if err := <-ended; !errors.Is(err, context.Canceled) {
						t.Errorf("got error %v, want canceled", err)
					}
				}()
			}
			if all := u.Requests(); len(all) != 1 || all[0].Canceled {
				t.Errorf("got %+v before leaving, want one request that is not canceled", all)
			}
			cancel()
			u.WaitCanceled(t, 1)
		})
	}
}

func TestListeners(t *testing.T) {
	t.Run("TLS with HTTP/2", func(t *testing.T) {
		u := New(t, WithTLS())
		c := newClient(t, &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: Roots(*u.Cert)}, ForceAttemptHTTP2: true,
		})
		checkProto(t, c, u, "HTTP/2.0")
	})
	t.Run("H2C", func(t *testing.T) {
		u := New(t, WithH2C())
		p := new(http.Protocols)
		p.SetUnencryptedHTTP2(true)
		checkProto(t, newClient(t, &http.Transport{Protocols: p}), u, "HTTP/2.0")
		checkProto(t, newClient(t, &http.Transport{}), u, "HTTP/1.1")
	})
	t.Run("unix socket", func(t *testing.T) {
		u := New(t, WithUnixSocket())
		checkProto(t, newClient(t, &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(u.Addr, "unix/"))
			},
		}), u, "HTTP/1.1")
	})
}

func checkProto(t *testing.T, c *http.Client, u *Upstream, want string) {
	t.Helper()
	resp, err := c.Post(u.URL, "", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := u.Last(t).Proto; resp.StatusCode != 200 || got != want {
		t.Errorf("got status %d over %s, want 200 over %s", resp.StatusCode, got, want)
	}
}

func TestStreamBreaksInHTTP2Too(t *testing.T) {
	for name, step := range map[string]Step{"reset": ResetBeforeHeaders(), "cut": CutAfter(5, OK("hello"))} {
		u := New(t, WithTLS()).Always(step)
		c := newClient(t, &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: Roots(*u.Cert)}, ForceAttemptHTTP2: true,
		})
		resp, err := c.Post(u.URL, "", strings.NewReader("{}"))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
