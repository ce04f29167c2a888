package wholepath

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// The round trip of a request is the router's own, not reverse_proxy's. These
// tests send the same requests through both, to the same upstream, and compare
// what it and the client see: reverse_proxy is what a Caddy user expects, and
// where the router differs it is for one of the reasons declared here.

// difference is one that is meant.
type difference struct {
	side string // upstream or client
	key  string // of the view; a * at the end stands for any rest
	why  string
	// meant tells whether two values differ in the way that is meant.
	meant func(reverseProxy, router string) bool
	// in is a part of the test's name, if not every case may differ.
	in string
}

func onlyReverseProxy(a, b string) bool { return a != "" && b == "" }
func onlyRouter(a, b string) bool       { return a == "" && b != "" }
func routerSays(want string) func(a, b string) bool {
	return func(_, b string) bool { return b == want }
}

var declared = []difference{
	{"upstream", "header X-Forwarded-*", "a provider is not told who the client is", onlyReverseProxy, ""},
	{"upstream", "header Via", "a provider is not told what stands in front of it", onlyReverseProxy, ""},
	{"upstream", "header Accept-Encoding", "the router reads answers, so they must not come compressed", routerSays("identity"), ""},
	{"upstream", "host", "a model server is asked by its own name", func(a, b string) bool {
		return a == "api.example.com" && (strings.HasPrefix(b, "127.0.0.1:") || b == "localhost")
	}, ""},
	{"upstream", "header X-Llm-*", "these are between client and router", onlyReverseProxy, ""},
	{"upstream", "header Expect", "the whole body is there already, so there is nothing to wait for", onlyReverseProxy, ""},
	{"upstream", "header Te", "the router does not ask for trailers that it may have to hold back", onlyReverseProxy, ""},
	{"upstream", "trailer *", "a body that is held whole goes on with its length, which leaves no room for trailers", onlyReverseProxy, ""},
	{"upstream", "announced", "as above", onlyReverseProxy, ""},
	{"upstream", "length", "a body that is held whole has a length, also when it came in chunks", func(a, b string) bool { return a == "-1" && b != "-1" }, ""},
	{"upstream", "transfer encoding", "as above", func(a, b string) bool { return a == "chunked" && b == "" }, ""},
	{"upstream", "header Content-Length", "as above", onlyRouter, ""},
	{"client", "header X-Llm-*", "the client is told how its answer came about", onlyRouter, ""},
	{"client", "header X-Should-Retry", "clients that retry by themselves are told whether it is of use", routerSays("false"), ""},
	{"client", "length", "a stream may get an end that it lacks, or lose what is broken", func(a, b string) bool { return a != "-1" && b == "-1" }, "stream_of_known_length"},
	{"client", "transfer encoding", "as above", func(a, b string) bool { return a == "" && b == "chunked" }, "stream_of_known_length"},
	{"client", "header Content-Length", "as above", onlyReverseProxy, "stream_of_known_length"},
	{"client", "length", "an answer that was held whole has a length, also when it came in chunks", func(a, b string) bool { return a == "-1" && b != "-1" }, ""},
	{"client", "transfer encoding", "as above", func(a, b string) bool { return a == "chunked" && b == "" }, ""},
	{"client", "header Content-Length", "as above", onlyRouter, ""},
}

// view is what one side sees of an exchange, by name.
type view map[string]string

func (v view) header(kind string, h http.Header) {
	for name, values := range h {
		v[kind+" "+name] = strings.Join(values, " | ")
	}
}

// compare reports the differences that are not meant, and marks the others as
// seen.
func compare(t *testing.T, side string, reverseProxy, router view, seen map[int]bool) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(reverseProxy))
	for key := range router {
		if _, ok := reverseProxy[key]; !ok {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		a, b := reverseProxy[key], router[key]
		if a == b {
			continue
		}
		i := slices.IndexFunc(declared, func(d difference) bool {
			prefix, open := strings.CutSuffix(d.key, "*")
			return d.side == side && (key == d.key || open && strings.HasPrefix(key, prefix)) && strings.Contains(t.Name(), d.in) && d.meant(a, b)
		})
		if i < 0 {
			t.Errorf("the %s sees %s: %q through reverse_proxy, %q through the router", side, key, a, b)
			continue
		}
		seen[i] = true
	}
}

// conformance is a request and the answer to it.
type conformance struct {
	name    string
	path    string // default: chatPath
	body    string // default: plain
	chunked bool
	request func(*http.Request)
	answer  http.HandlerFunc // default: a short one of known length
}

const answerBody = `{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}`

func jsonAnswer(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, answerBody)
	}
}

// bare answers without a body.
func bare(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
	}
}

// pieces answers in chunks.
func pieces(contentType string, parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for _, part := range parts {
			io.WriteString(w, part)
			http.NewResponseController(w).Flush()
		}
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.String()
}

var conformances = []conformance{
	{name: "known lengths"},
	{name: "request in chunks", chunked: true},
	{name: "long request", body: `{"model":"p","messages":[],"x":"` + strings.Repeat("y", 300_000) + `"}`},
	{name: "long request in chunks", chunked: true, body: `{"model":"p","messages":[],"x":"` + strings.Repeat("y", 300_000) + `"}`},
	{name: "JSON answer in chunks", answer: pieces("application/json", answerBody[:10], answerBody[10:])},
	{name: "text answer in chunks", answer: pieces("text/plain", strings.Repeat("a", 10), strings.Repeat("b", 100_000))},
	{name: "binary answer of known length", answer: func(w http.ResponseWriter, _ *http.Request) {
		body := bytes.Repeat([]byte{0, 1, 254, 255}, 200_000)
		w.Header().Set("Content-Type", "audio/mpeg")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	}},
	{name: "long JSON answer", answer: pieces("application/json", `{"x":"`, strings.Repeat("y", 3<<20), `"}`)},
	{name: "stream", body: streamed, answer: http.HandlerFunc(scripted.Chat(0, "Hello", " world"))},
	{name: "stream of known length", body: streamed, answer: func(w http.ResponseWriter, _ *http.Request) {
		body := "data: " + strings.Join(scripted.ChatEvents("p", "Hello"), "\n\ndata: ") + "\n\n"
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		io.WriteString(w, body)
	}},
	{name: "no type", answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		io.WriteString(w, "hm")
	}},
	{name: "headers of one connection in the request", request: func(r *http.Request) {
		if r.URL.Scheme == "https" { // which HTTP/2 refuses
			return
		}
		r.Header.Set("Connection", "X-Hop, keep-alive")
		for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Alt-Svc"} {
			r.Header.Set(name, "1")
		}
		r.Header.Set("Te", "trailers")
	}},
	{name: "headers of one connection in the answer", answer: func(w http.ResponseWriter, r *http.Request) {
		names := []string{"Alt-Svc", "Proxy-Authenticate", "X-Hop"}
		if r.ProtoMajor == 1 {
			names = append(names, "Keep-Alive", "Proxy-Connection")
			w.Header().Set("Connection", "X-Hop")
		}
		for _, name := range names {
			w.Header().Set(name, "1")
		}
		jsonAnswer(200)(w, r)
	}},
	{name: "the client's own headers", request: func(r *http.Request) {
		r.Header["X-Multi"] = []string{"a", "b", "a, c"}
		for name, value := range map[string]string{
			"Authorization": "Bearer sk-client", "Openai-Organization": "org-1", "Anthropic-Version": "2023-06-01", "Cookie": "a=1; b=2",
			"Accept": "application/json", "Idempotency-Key": "k-1", "User-Agent": "OpenAI/Python 1.99", "Accept-Encoding": "gzip, br",
			"X-Empty": "", "Origin": "https://app.example", "X-Llm-Trace": "1", "Priority": "u=1",
		} {
			r.Header.Set(name, value)
		}
	}},
	{name: "no User-Agent", request: func(r *http.Request) { r.Header["User-Agent"] = []string{""} }},
	{name: "forged forwarding headers", request: func(r *http.Request) {
		r.Header.Set("X-Forwarded-For", "10.0.0.1")
		r.Header.Set("X-Forwarded-Host", "inside.example")
		r.Header.Set("X-Forwarded-Proto", "gopher")
		r.Header.Set("Via", "1.0 proxy")
	}},
	{name: "Expect", request: func(r *http.Request) { r.Header.Set("Expect", "100-continue") }},
	{name: "trailers of the request", chunked: true, request: func(r *http.Request) { r.Trailer = http.Header{"X-Checksum": {"abc"}} }},
	{name: "early hints", answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Link", "</b>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		jsonAnswer(200)(w, r)
	}},
	{name: "trailers announced", answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Checksum, X-Tokens")
		pieces("text/plain", "a", "b")(w, r)
		w.Header().Set("X-Checksum", "abc")
		w.Header().Set("X-Tokens", "3")
	}},
	{name: "trailers announced, long answer", answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Checksum")
		pieces("text/plain", "a", strings.Repeat("b", 200_000))(w, r)
		w.Header().Set("X-Checksum", "abc")
	}},
	{name: "trailers announced, stream", body: streamed, answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Checksum")
		scripted.Chat(0, "Hello")(w, r)
		w.Header().Set("X-Checksum", "abc")
	}},
	{name: "trailers announced, JSON answer", answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Checksum")
		pieces("application/json", answerBody)(w, r)
		w.Header().Set("X-Checksum", "abc")
	}},
	{name: "trailers not announced", answer: func(w http.ResponseWriter, r *http.Request) {
		pieces("text/plain", "a", strings.Repeat("b", 200_000))(w, r)
		w.Header().Set(http.TrailerPrefix+"X-Checksum", "abc")
	}},
	{
		name: "gzip not asked for", request: func(r *http.Request) { r.Header.Set("Accept-Encoding", "identity") },
		answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, zipped(answerBody))
		},
	},
	{
		name: "gzip stream not asked for", body: streamed, request: func(r *http.Request) { r.Header.Set("Accept-Encoding", "identity") },
		answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			pieces("text/event-stream", zipped("data: {}\n\ndata: [DONE]\n\n"))(w, r)
		},
	},
	{name: "201", answer: jsonAnswer(http.StatusCreated, "Location", "/v1/x")},
	{name: "204", answer: bare(http.StatusNoContent, "X-Request-Id", "r-1")},
	{name: "205", answer: bare(http.StatusResetContent)},
	{name: "302", answer: bare(http.StatusFound, "Location", "https://elsewhere.example/v1")},
	{name: "304", answer: bare(http.StatusNotModified, "Etag", `"e"`)},
	{name: "307 with a body", answer: jsonAnswer(http.StatusTemporaryRedirect, "Location", "/v2/chat")},
	{name: "empty answer", answer: bare(http.StatusOK, "Content-Type", "application/json")},
	{name: "400", answer: jsonAnswer(http.StatusBadRequest)},
	{name: "values of many headers", answer: jsonAnswer(200, "Set-Cookie", "a=1; Path=/", "Set-Cookie", "b=2", "X-Multi", "a", "X-Multi", "b, c",
		"X-Ratelimit-Remaining-Requests", "7", "Openai-Processing-Ms", "12", "Www-Authenticate", "Bearer", "Server", "vllm", "Via", "1.1 varnish", "Vary", "Origin")},
	{name: "escaped path", path: "/v1/files/a%2Fb%20c%25/d:e"},
	{name: "double slashes", path: "/v1//chat//completions/"},
	{name: "a dot", path: "/v1/a/./b..c"}, // what climbs is refused, see hostile_test.go
	{name: "query", path: "/v1/chat/completions?b=2&a=1&a=%20x+y&c"},
	{name: "query with a semicolon", path: "/v1/chat/completions?a=1;b=2&c=%zz"},
	{name: "empty query", path: "/v1/chat/completions?"},
	{name: "PUT", request: func(r *http.Request) { r.Method = http.MethodPut }},
	{name: "PATCH", request: func(r *http.Request) { r.Method = http.MethodPatch }},
}

// pair is one upstream behind both: reverse_proxy on port 8080, the router on
// port 8081.
type pair struct {
	s      *caddyharness.Server
	u      *scripted.Upstream
	scheme string
}

const (
	reverseProxyPort = "8080"
	routerPort       = "8081"
)

func bothPorts() []string { return []string{reverseProxyPort, routerPort} }

func newPair(t *testing.T, kind string, client ...caddyharness.Option) *pair {
	t.Helper()
	p := &pair{scheme: "http"}
	if len(client) > 0 {
		p.scheme = "https"
	}
	var to, base, transport string
	switch kind {
	case "http":
		p.u = scripted.New(t)
		to, base = p.u.URL, p.u.URL
	case "https":
		p.u = scripted.New(t, scripted.WithTLS())
		to, base, transport = p.u.URL, p.u.URL, "transport http {\ntls_insecure_skip_verify\n}"
	case "h2c":
		p.u = scripted.New(t, scripted.WithH2C())
		to, base = "h2c://"+p.u.Addr, "h2c://"+p.u.Addr
	case "unix":
		p.u = scripted.New(t, scripted.WithUnixSocket())
		to, base = p.u.Addr, p.u.Addr
	}
	p.s = caddyharness.Load(t, fmt.Sprintf(`
		:8080 {
			log
			reverse_proxy %s {
				%s
			}
		}
		:8081 {
			log
			llm_router {
				retries 0
				cooldown off
				pool p {
					deployment d %s {
						%s
					}
				}
			}
		}
	`, to, transport, base, transport), client...)
	return p
}

func (p *pair) url(port, path string) string { return p.scheme + "://localhost:" + port + path }

// exchange sends a request through one of the two and tells what upstream and
// client saw.
func (p *pair) exchange(t *testing.T, port string, c conformance) (upstream, client view) {
	t.Helper()
	var mu sync.Mutex
	upstream, client = make(view), make(view)
	p.u.Always(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		upstream["method"], upstream["uri"], upstream["host"], upstream["proto"] = r.Method, r.RequestURI, r.Host, r.Proto
		upstream["body"], upstream["length"] = string(body), fmt.Sprint(r.ContentLength)
		upstream["transfer encoding"] = strings.Join(r.TransferEncoding, ",")
		upstream["announced"] = strings.Join(slices.Sorted(maps.Keys(r.Trailer)), ",")
		upstream.header("header", r.Header)
		upstream.header("trailer", r.Trailer)
		mu.Unlock()
		w.Header().Set("Date", "Wed, 01 Jan 2025 00:00:00 GMT")
		if c.answer == nil {
			jsonAnswer(http.StatusOK)(w, r)
			return
		}
		c.answer(w, r)
	})
	path, text := c.path, c.body
	if path == "" {
		path = chatPath
	}
	if text == "" {
		text = plain
	}
	var body io.Reader = strings.NewReader(text)
	if c.chunked {
		body = io.MultiReader(body) // of which nobody knows the length
	}
	ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
	defer cancel()
	var hints []string
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code != http.StatusContinue { // Caddy's server sends that by itself
			hints = append(hints, fmt.Sprint(code, h))
		}
		return nil
	}})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url(port, path), body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "api.example.com"
	r.Header.Set("Content-Type", "application/json")
	if c.request != nil {
		c.request(r)
	}
	resp, err := p.s.Client().Do(r)
	if err != nil {
		t.Fatalf("through port %s: %v", port, err)
	}
	defer resp.Body.Close()
	client["announced"] = strings.Join(slices.Sorted(maps.Keys(resp.Trailer)), ",")
	answer, err := io.ReadAll(resp.Body)
	client["status"], client["proto"], client["body"], client["error"] = resp.Status, resp.Proto, string(answer), fmt.Sprint(err)
	client["length"], client["transfer encoding"] = fmt.Sprint(resp.ContentLength), strings.Join(resp.TransferEncoding, ",")
	client["1xx"] = strings.Join(hints, "; ")
	client.header("header", resp.Header)
	client.header("trailer", resp.Trailer)
	mu.Lock()
	defer mu.Unlock()
	return maps.Clone(upstream), client
}

func TestConformance(t *testing.T) {
	seen := make(map[int]bool)
	for _, kind := range []string{"http", "https", "h2c", "unix"} {
		for protocol, opts := range map[string][]caddyharness.Option{"HTTP1": nil, "HTTP2": {caddyharness.WithTLS()}} {
			t.Run(kind+" upstream, "+protocol+" client", func(t *testing.T) {
				p := newPair(t, kind, opts...)
				for _, c := range conformances {
					t.Run(c.name, func(t *testing.T) {
						upstreamA, clientA := p.exchange(t, reverseProxyPort, c)
						upstreamB, clientB := p.exchange(t, routerPort, c)
						if upstreamA["method"] == "" {
							t.Fatal("reverse_proxy did not reach the upstream: nothing to compare")
						}
						if over2 := kind == "https" || kind == "h2c"; over2 != (upstreamA["proto"] == "HTTP/2.0") || (opts != nil) != (clientA["proto"] == "HTTP/2.0") {
							t.Errorf("got %s from the client and %s upstream, which is not what this is to compare", clientA["proto"], upstreamA["proto"])
						}
						compare(t, "upstream", upstreamA, upstreamB, seen)
						compare(t, "client", clientA, clientB, seen)
					})
				}
			})
		}
	}
	if t.Failed() {
		return
	}
	for i, d := range declared {
		if !seen[i] {
			t.Errorf("the difference declared for %s of the %s shows in no case any more", d.key, d.side)
		}
	}
}
