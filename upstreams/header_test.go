package upstreams

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
)

func TestOutgoingHeader(t *testing.T) {
	client := http.Header{
		"Accept": {"application/json"}, "X-Multi": {"a", "b"}, "Openai-Organization": {"org"}, "Content-Type": {"application/json"},
		// of one connection only
		"Connection": {"keep-alive, X-Hop", "x-hop-2"}, "X-Hop": {"1"}, "X-Hop-2": {"2"}, "Keep-Alive": {"timeout=5"},
		"Proxy-Connection": {"keep-alive"}, "Proxy-Authorization": {"Basic x"}, "Te": {"trailers"}, "Trailer": {"X"},
		"Transfer-Encoding": {"chunked"}, "Upgrade": {"h2c"}, "Expect": {"100-continue"}, "Content-Length": {"3"}, "Alt-Svc": {"x"},
		// who the client is
		"X-Forwarded-For": {"10.1.2.3"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"inside"}, "Forwarded": {"for=10.1.2.3"}, "Via": {"1.1 x"}, "X-Real-Ip": {"10.1.2.3"},
		// between client and router
		"X-Llm-Fallback": {"off"}, "X-Llm-Anything": {"1"},
		"Accept-Encoding": {"gzip, br"},
		"Authorization":   {"Bearer client"}, "Api-Key": {"client"}, "X-Api-Key": {"client"}, "X-Goog-Api-Key": {"client"},
	}
	always := http.Header{
		"Accept": {"application/json"}, "X-Multi": {"a", "b"}, "Openai-Organization": {"org"}, "Content-Type": {"application/json"},
		"Accept-Encoding": {"identity"}, "User-Agent": {""}, "Idempotency-Key": nil,
	}
	with := func(more http.Header) http.Header {
		h := always.Clone()
		maps.Copy(h, more)
		return h
	}
	clientsOwn := http.Header{"Authorization": {"Bearer client"}, "Api-Key": {"client"}, "X-Api-Key": {"client"}, "X-Goog-Api-Key": {"client"}}
	tests := []struct {
		name string
		key  func(*Deployment)
		want http.Header
	}{
		{"no key: the client's own goes through", func(*Deployment) {}, with(clientsOwn)},
		{"a key in Authorization", func(d *Deployment) { d.APIKey = "k" }, with(http.Header{"Authorization": {"Bearer k"}})},
		{"a key in another header", func(d *Deployment) { d.APIKey, d.APIKeyHeader = "k", "api-key" }, with(http.Header{"Api-Key": {"k"}})},
		{"a key in a header of its own", func(d *Deployment) { d.APIKey, d.APIKeyHeader = "k", "x-gateway-key" }, with(http.Header{"X-Gateway-Key": {"k"}})},
		{"Authorization in other letters", func(d *Deployment) { d.APIKey, d.APIKeyHeader = "k", "AUTHORIZATION" }, with(http.Header{"Authorization": {"Bearer k"}})},
		{"a key that header_up sets", func(d *Deployment) { d.ownKey = true }, always},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := bareDeployment(t, "http://h/v1")
			tt.key(d)
			if d.APIKey != "" {
				if err := d.resolve(); err != nil {
					t.Fatal(err)
				}
			}
			r := post("/v1/x")
			r.Header = client.Clone()
			x, _ := newExchange(t, r, chatBody)
			got := make(http.Header)
			x.setHeader(got, d)
			if !maps.EqualFunc(got, tt.want, slices.Equal) {
				t.Errorf("got  %v\nwant %v", got, tt.want)
			}
			if !maps.EqualFunc(r.Header, client, slices.Equal) {
				t.Errorf("the client's headers were changed: %v", r.Header)
			}
		})
	}
}

func TestOutgoingHeaderKeepsWhatTheClientSays(t *testing.T) {
	r := post("/v1/x")
	r.Header = http.Header{"User-Agent": {"OpenAI/Python 1.2"}, "Idempotency-Key": {"abc"}}
	x, _ := newExchange(t, r, chatBody)
	h := make(http.Header)
	x.setHeader(h, bareDeployment(t, "http://h/v1"))
	if h.Get("User-Agent") != "OpenAI/Python 1.2" || h.Get("Idempotency-Key") != "abc" {
		t.Errorf("got %v", h)
	}
}

func TestConnectionNames(t *testing.T) {
	tests := []struct {
		connection []string
		name       string
		want       bool
	}{
		{nil, "X-A", false},
		{[]string{"close"}, "X-A", false},
		{[]string{"x-a"}, "X-A", true},
		{[]string{"keep-alive,\tX-A , x"}, "X-A", true},
		{[]string{"keep-alive", "X-A"}, "X-A", true},
		{[]string{"X-AB, X"}, "X-A", false},
		{[]string{","}, "", true}, // no header has this name
	}
	for _, tt := range tests {
		if got := connectionNames(tt.connection, tt.name); got != tt.want {
			t.Errorf("%q names %q: got %v, want %v", tt.connection, tt.name, got, tt.want)
		}
	}
}

func TestDropHopByHop(t *testing.T) {
	h := http.Header{
		"Connection": {"close, x-hop", ", ,"}, "X-Hop": {"1"}, "Keep-Alive": {"x"}, "Alt-Svc": {"h3"}, "Upgrade": {"h2c"},
		"Proxy-Authenticate": {"x"}, "Transfer-Encoding": {"chunked"}, "Trailer": {"X"}, "Te": {"x"},
		"Content-Type": {"application/json"}, "Set-Cookie": {"a=1", "b=2"}, "Www-Authenticate": {"Bearer"},
	}
	dropHopByHop(h)
	want := http.Header{"Content-Type": {"application/json"}, "Set-Cookie": {"a=1", "b=2"}, "Www-Authenticate": {"Bearer"}}
	if !maps.EqualFunc(h, want, slices.Equal) {
		t.Errorf("got %v, want %v", h, want)
	}
}

func TestCopyHeader(t *testing.T) {
	d := bareDeployment(t, "http://gpu-1:8000/v1")
	d.down = &headers.RespHeaderOps{HeaderOps: &headers.HeaderOps{
		Delete: []string{"X-Internal"}, Set: http.Header{"X-From": {"{http.reverse_proxy.upstream.hostport}"}},
	}}
	x, w := newExchange(t, post("/v1/x"), chatBody)
	x.mustOutgoing(t, d)
	h := w.Header()
	h["Server"], h["Vary"], h["Via"] = []string{"Caddy"}, []string{"Origin"}, []string{"2.0 other"}
	from := http.Header{
		"Vary": {"Accept"}, "Set-Cookie": {"a=1", "b=2"}, "X-Internal": {"1"}, "X-Llm-Pool": {"forged"}, "Server": {"vllm"}, "Connection": {"close"},
	}
	x.copyHeader(d, http.StatusOK, from, "1.1")
	want := http.Header{
		"Vary": {"Origin", "Accept"}, "Set-Cookie": {"a=1", "b=2"}, "Via": {"2.0 other", "1.1 Caddy"}, "Server": {"vllm"}, "X-From": {"gpu-1:8000"},
	}
	if !maps.EqualFunc(h, want, slices.Equal) {
		t.Errorf("got  %v\nwant %v", h, want)
	}
}

func TestStamp(t *testing.T) {
	h := make(http.Header)
	Stamp(h, "p", "", 12, 0)
	if _, ok := h["X-Llm-Deployment"]; ok || h.Get("X-LLM-Pool") != "p" || h.Get("X-LLM-Attempts") != "12" || h.Get("X-LLM-Fallbacks") != "0" {
		t.Errorf("got %v, want the pool and both counts", h)
	}
	h["X-Llm-Attempts"][0] = "changed by another handler"
	h["X-Llm-Pool"] = append(h["X-Llm-Pool"], "more")
	other := make(http.Header)
	Stamp(other, "p", "d", 12, 0)
	if other.Get("X-LLM-Attempts") != "12" || other.Get("X-LLM-Deployment") != "d" {
		t.Errorf("got %v, which another response has changed", other)
	}
}

func TestInformational(t *testing.T) {
	x, w := newExchange(t, post("/v1/x"), chatBody)
	w.Header().Set("X-Own", "1")
	hints := http.Header{"Link": {"</style.css>"}, "Connection": {"X-Hop"}, "X-Hop": {"1"}}

	x.informational(http.StatusEarlyHints, hints) // not in a round trip: too late
	x.setInRoundTrip(true)
	x.informational(http.StatusEarlyHints, hints)
	x.setInRoundTrip(false)

	if got := w.Header(); !maps.EqualFunc(got, http.Header{"X-Own": {"1"}}, slices.Equal) {
		t.Errorf("got headers %v, want only those from before the hints", got)
	}
	if hints.Get("X-Hop") == "" {
		t.Error("the upstream's headers were changed")
	}
	x.committed = true
	x.setInRoundTrip(true)
	x.informational(http.StatusEarlyHints, hints)
	x.setInRoundTrip(false)
	if w.Header().Get("Link") != "" {
		t.Error("hints went to a client that has an answer already")
	}
}
