package wholepath

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// The main path on a real Caddy: how requests are read, whose they are, and what
// becomes of those that are nobody's.

// send makes a request of any kind. A content type of "" sends none.
func send(t testing.TB, s *caddyharness.Server, method, path, contentType string, body io.Reader, header ...string) got {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL(path), body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return got{status: resp.StatusCode, header: resp.Header, body: string(text), trailer: resp.Trailer, err: err}
}

// unsized hides the length of a body, so that it is sent in chunks.
func unsized(body string) io.Reader { return struct{ io.Reader }{strings.NewReader(body)} }

// field reads a member of a JSON answer.
func (g got) field(path string) string { return gjson.Get(g.body, path).String() }

// refused checks an error of the router's own that trying again does not mend.
func (g got) refused(t testing.TB, status int, param, code string) {
	t.Helper()
	if g.status != status || g.field("error.param") != param || g.field("error.code") != code || g.field("error.message") == "" {
		t.Errorf("got %d %s, want %d with param %q, code %q and a message", g.status, g.body, status, param, code)
	}
	if kind := g.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("got Content-Type %q, want application/json", kind)
	}
	if again := g.header.Get("X-Should-Retry"); again != "false" {
		t.Errorf("got X-Should-Retry %q, want false", again)
	}
}

func TestRequestsAreRead(t *testing.T) {
	u := scripted.New(t)
	s := routerWith(t, fmt.Sprintf("pool p {\n\tdeployment d %s {\n\t\tmodel served\n\t}\n}", u.URL))
	const json = "application/json"
	for _, tt := range []struct {
		name, contentType string
		body              io.Reader
		want              string
	}{
		{"JSON", json, strings.NewReader(`{"model":"p","messages":[]}`), `{"model":"served","messages":[]}`},
		{"model last, with space around it", json, strings.NewReader(" {\"messages\":[],\n \"model\" : \"p\" }\n"), " {\"messages\":[],\n \"model\" : \"served\" }\n"},
		{"escaped model", json, strings.NewReader(`{"model":"\u0070","n":1}`), `{"model":"served","n":1}`},
		{"escaped key", json, strings.NewReader(`{"mod\u0065l":"p","n":1}`), `{"mod\u0065l":"served","n":1}`},
		{"models further down", json, strings.NewReader(`{"x":{"model":"q"},"model":"p","y":[{"model":"q"}],"z":"\"model\":\"q\""}`), `{"x":{"model":"q"},"model":"served","y":[{"model":"q"}],"z":"\"model\":\"q\""}`},
		{"chunked", json, unsized(`{"model":"p","messages":[]}`), `{"model":"served","messages":[]}`},
		{"with a charset", "application/json; charset=utf-8", strings.NewReader(`{"model":"p"}`), `{"model":"served"}`},
		{"JSON without a content type", "", strings.NewReader(`{"model":"p"}`), `{"model":"served"}`},
		{"JSON under curl's content type", "application/x-www-form-urlencoded", strings.NewReader(`{"model":"p"}`), `{"model":"served"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := u.Count()
			send(t, s, http.MethodPost, chatPath, tt.contentType, tt.body).served(t, "ok", "d", 1, 0)
			counts(t, "d", u, before+1)
			last := u.Last(t)
			if got := string(last.Body); got != tt.want {
				t.Errorf("got upstream body %q, want %q", got, tt.want)
			}
			if got := last.Header.Get("Content-Length"); got != fmt.Sprint(len(tt.want)) {
				t.Errorf("got upstream Content-Length %q, want %d", got, len(tt.want))
			}
		})
	}
}

// audioForm is a transcription request. Its file holds what looks like another
// model.
func audioForm(t testing.TB, models ...string) (contentType, body string) {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	file, err := w.CreateFormFile("file", "hello.wav")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(file, "RIFF\x00\xff\r\n--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nq\r\n")
	for _, model := range models {
		w.WriteField("model", model)
	}
	w.WriteField("language", "en")
	w.Close()
	return w.FormDataContentType(), form.String()
}

func TestAudioFormsAreRead(t *testing.T) {
	u := scripted.New(t)
	s := routerWith(t, fmt.Sprintf("pool p {\n\tdeployment d %s {\n\t\tmodel served-under-a-longer-name\n\t}\n}", u.URL))
	const path = "/v1/audio/transcriptions"
	contentType, body := audioForm(t, "p")
	want := strings.Replace(body, "\r\n\r\np\r\n", "\r\n\r\nserved-under-a-longer-name\r\n", 1)
	t.Run("only the model is replaced", func(t *testing.T) {
		for _, spelling := range []string{contentType, strings.Replace(contentType, "multipart/form-data", "Multipart/Form-Data", 1)} {
			send(t, s, http.MethodPost, path, spelling, strings.NewReader(body)).served(t, "ok", "d", 1, 0)
			last := u.Last(t)
			if string(last.Body) != want || last.Header.Get("Content-Type") != spelling || last.Path != path {
				t.Errorf("got %s with %q and body %q, want %s with %q and body %q", last.Path, last.Header.Get("Content-Type"), last.Body, path, spelling, want)
			}
		}
	})
	t.Run("chunked", func(t *testing.T) {
		send(t, s, http.MethodPost, path, contentType, unsized(body)).served(t, "ok", "d", 1, 0)
		if got := string(u.Last(t).Body); got != want {
			t.Errorf("got body %q, want %q", got, want)
		}
	})
	before := u.Count()
	_, two := audioForm(t, "p", "p")
	_, none := audioForm(t)
	for _, tt := range []struct{ name, contentType, body, param, code string }{
		{"without a content type", "", body, "", ""},
		{"without a boundary", "multipart/form-data", body, "", ""},
		{"under another boundary", "multipart/form-data; boundary=other", body, "", ""},
		{"cut off", contentType, body[:len(body)-20], "", ""},
		{"two models", contentType, adopt(two, contentType), "model", ""},
		{"no model", contentType, adopt(none, contentType), "model", "missing_required_parameter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			send(t, s, http.MethodPost, path, tt.contentType, strings.NewReader(tt.body)).refused(t, http.StatusBadRequest, tt.param, tt.code)
		})
	}
	counts(t, "d", u, before)
}

// adopt gives a form the boundary of a content type.
func adopt(form, contentType string) string {
	_, boundary, _ := strings.Cut(contentType, "boundary=")
	own, _, _ := strings.Cut(strings.TrimPrefix(form, "--"), "\r\n")
	return strings.ReplaceAll(form, own, boundary)
}

func TestRequestsThatCannotBeReadAreRefused(t *testing.T) {
	u := scripted.New(t)
	s := routerWith(t, alone(u, ""))
	for _, tt := range []struct{ name, body, param, code string }{
		{"two models", `{"model":"p","messages":[],"model":"p"}`, "model", ""},
		{"two models, one escaped", `{"model":"p","mod\u0065l":"q"}`, "model", ""},
		{"two models, one in another case", `{"model":"p","Model":"q"}`, "model", ""},
		{"model in another case", `{"MODEL":"p"}`, "model", ""},
		{"two stream flags", `{"model":"p","stream":true,"stream":false}`, "stream", ""},
		{"stream that is no boolean", `{"model":"p","stream":"true"}`, "stream", ""},
		{"model that is no text", `{"model":["p"]}`, "model", ""},
		{"model null", `{"model":null}`, "model", ""},
		{"model with a line break", `{"model":"p\n"}`, "model", ""},
		{"no model", `{"messages":[]}`, "model", "missing_required_parameter"},
		{"empty model", `{"model":""}`, "model", "missing_required_parameter"},
		{"empty object", `{}`, "model", "missing_required_parameter"},
		{"empty body", ``, "", ""},
		{"text", `model=p`, "", ""},
		{"array", `[{"model":"p"}]`, "", ""},
		{"unclosed text", `{"model":"p","messages":"`, "", ""},
		{"unclosed bracket", `{"model":"p","messages":[{"role":"user"}`, "", ""},
		{"unclosed object", `{"model":"p"`, "", ""},
		{"two objects", `{"model":"p"}{"model":"q"}`, "", ""},
		{"comma missing", `{"model":"p" "n":1}`, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ask(t, s, chatPath, tt.body).refused(t, http.StatusBadRequest, tt.param, tt.code)
			g := ask(t, s, messagesPath, tt.body)
			if g.status != http.StatusBadRequest || g.field("type") != "error" || g.field("error.type") != "invalid_request_error" || g.field("error.message") == "" {
				t.Errorf("%s: got %d %s, want 400 and an error as Anthropic writes it", messagesPath, g.status, g.body)
			}
		})
	}
	counts(t, "a", u, 0)
}

func TestBodiesThatAreTooLargeAreRefused(t *testing.T) {
	u := scripted.New(t)
	s := caddyharness.Load(t, fmt.Sprintf(`
		:8080 {
			request_body /small/* {
				max_size 100
			}
			llm_router {
				max_body 1KB
				pool p {
					deployment a %s
				}
			}
		}
	`, u.URL))
	sized := func(n int) string {
		const head, tail = `{"model":"p","prompt":"`, `"}`
		return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
	}
	t.Run("up to the limit", func(t *testing.T) {
		ask(t, s, chatPath, sized(1000)).served(t, "ok", "a", 1, 0)
		send(t, s, http.MethodPost, chatPath, "", unsized(sized(1000))).served(t, "ok", "a", 1, 0)
	})
	before := u.Count()
	for _, tt := range []struct {
		name, path string
		body       io.Reader
		limit      string
	}{
		{"known length", chatPath, strings.NewReader(sized(1001)), "1000 bytes"},
		{"chunked", chatPath, unsized(sized(1001)), "1000 bytes"},
		{"far too large, chunked", chatPath, unsized(sized(64 << 10)), "1000 bytes"},
		{"Caddy's own limit", "/small" + chatPath, unsized(sized(200)), "100 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := send(t, s, http.MethodPost, tt.path, "application/json", tt.body)
			g.refused(t, http.StatusRequestEntityTooLarge, "", "request_too_large")
			if !strings.Contains(g.field("error.message"), tt.limit) {
				t.Errorf("got message %q, want it to name the limit of %s", g.field("error.message"), tt.limit)
			}
		})
	}
	counts(t, "a", u, before)
}

// dialed sends bytes over a connection of its own and reads an answer.
func dialed(t *testing.T, s *caddyharness.Server, request string, closeWrite bool) (status int, body string) {
	t.Helper()
	conn, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if closeWrite {
		if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// Bodies that end before their end: the client has gone, or says nothing that
// could be read.
func TestShortBodiesReachNoDeployment(t *testing.T) {
	u := scripted.New(t)
	s := routerWith(t, alone(u, ""))
	const chunked = "POST " + chatPath + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"less than announced", "POST " + chatPath + " HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n" + plain[:20], 499},
		{"chunks without end", chunked + "4\r\n{\"mo\r\n", 499},
		{"a malformed chunk", chunked + "zz\r\n{\"mo\r\n", http.StatusBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := dialed(t, s, tt.request, true)
			if status != tt.want || (gjson.Get(body, "error.message").String() == "") != (tt.want == 499) {
				t.Errorf("got %d %q, want %d, and an error only for a client that is there", status, body, tt.want)
			}
		})
	}
	counts(t, "a", u, 0)
}

// A client that stops in the middle of its request is given up by the server's
// read timeouts, and nothing is kept for it meanwhile.
func TestStalledClientsHoldNoDeployment(t *testing.T) {
	u := scripted.New(t)
	s := caddyharness.Load(t, fmt.Sprintf(`
		{
			servers {
				timeouts {
					read_body 1s
				}
			}
		}
		:8080 {
			llm_router {
				pool p {
					deployment a %s {
						max_parallel 1
						rpm 1
					}
				}
			}
		}
	`, u.URL))
	type answer struct {
		status int
		body   string
		took   time.Duration
	}
	stalled := make(chan answer)
	conn, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	start := time.Now()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", chatPath, len(plain), plain[:len(plain)-1])
	go func() {
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			stalled <- answer{body: err.Error()}
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		stalled <- answer{resp.StatusCode, string(text), time.Since(start)}
	}()
	ask(t, s, chatPath, plain).served(t, "ok", "a", 1, 0)
	got := <-stalled
	if got.status != http.StatusRequestTimeout || gjson.Get(got.body, "error.code").String() != "request_timeout" {
		t.Errorf("got %d %q for the stalled request, want 408 request_timeout", got.status, got.body)
	}
	if got.took < 500*time.Millisecond || got.took > 8*time.Second {
		t.Errorf("got the answer after %v, want it after the read timeout of 1s", got.took)
	}
	counts(t, "a", u, 1)
}

func TestUnknownModelNext(t *testing.T) {
	u := scripted.New(t)
	next := scripted.New(t).Always(scripted.Reply(http.StatusAccepted, nil, `"next"`))
	s := caddyharness.Load(t, fmt.Sprintf(`
		:8080 {
			llm_router {
				unknown_model next
				pool p {
					deployment a %s
				}
			}
			reverse_proxy %s
		}
	`, u.URL, next.Addr))
	t.Run("known", func(t *testing.T) {
		ask(t, s, chatPath, plain).served(t, "ok", "a", 1, 0)
		counts(t, "next", next, 0)
	})
	contentType, form := audioForm(t, "q")
	long := `{"model":"q","prompt":"` + strings.Repeat("x", 3<<20) + `"}`
	for _, tt := range []struct {
		name, contentType string
		body              io.Reader
		want              string
	}{
		{"unknown model", "application/json", strings.NewReader(`{"model":"q"}`), `{"model":"q"}`},
		{"unknown model, chunked", "application/json", unsized(`{"model":"q"}`), `{"model":"q"}`},
		{"no model", "application/json", strings.NewReader(` {"a":1} `), ` {"a":1} `},
		{"not JSON", "text/plain", strings.NewReader("a=1\x00\xff"), "a=1\x00\xff"},
		{"not JSON, chunked", "text/plain", unsized("a=1"), "a=1"},
		{"unclosed", "application/json", strings.NewReader(`{"model":"q`), `{"model":"q`},
		{"form", contentType, strings.NewReader(form), form},
		{"empty", "", http.NoBody, ""},
		{"long", "application/json", strings.NewReader(long), long},
		{"long, chunked", "application/json", unsized(long), long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := next.Count()
			g := send(t, s, http.MethodPost, chatPath, tt.contentType, tt.body)
			counts(t, "next", next, before+1)
			if g.status != http.StatusAccepted || g.body != `"next"` {
				t.Errorf("got %d %q, want the next handler's answer", g.status, g.body)
			}
			if got := string(next.Last(t).Body); got != tt.want {
				t.Errorf("got a body of %d bytes at the next handler, want the client's %d: %.60q", len(got), len(tt.want), got)
			}
			for name := range g.header {
				if strings.HasPrefix(name, "X-Llm-") || name == "X-Should-Retry" {
					t.Errorf("got header %s on an answer that is not the router's", name)
				}
			}
		})
	}
	counts(t, "a", u, 1)
}

func TestRequestsWithoutAModelPassOn(t *testing.T) {
	u := scripted.New(t)
	s := caddyharness.Load(t, fmt.Sprintf(`
		:8080 {
			route {
				llm_router {
					pool p {
						deployment a %s
					}
				}
				respond "next: {http.request.method} {http.request.uri}" 418
			}
		}
	`, u.URL))
	for _, request := range []string{
		"GET /", "GET /v1/modelsx", "GET /v1/files/1", "GET /v1/chat/completions?model=p", "DELETE /v1/models/p",
		"OPTIONS /v1/chat/completions",
	} {
		method, path, _ := strings.Cut(request, " ")
		g := send(t, s, method, path, "", nil)
		if want := "next: " + request; g.status != http.StatusTeapot || g.body != want {
			t.Errorf("got %d %q, want 418 %q", g.status, g.body, want)
		}
	}
	counts(t, "a", u, 0)
}

func TestModelOfTheQuery(t *testing.T) {
	u := scripted.New(t)
	s := routerWith(t, fmt.Sprintf("pool p {\n\tdeployment d %s {\n\t\tmodel served\n\t}\n}", u.URL))
	ask(t, s, "/v1/rerank?model=p&top=2", `{"query":"x"}`).served(t, "ok", "d", 1, 0)
	last := u.Last(t)
	if want := `{"model":"served","query":"x"}`; string(last.Body) != want || last.Query.Encode() != "model=served&top=2" {
		t.Errorf("got %s with query %q upstream, want %s with the model of the deployment", last.Body, last.Query.Encode(), want)
	}
	ask(t, s, "/v1/rerank?model=p&model=p", `{"query":"x"}`).refused(t, http.StatusBadRequest, "model", "")
	ask(t, s, "/v1/rerank?model=q", `{"query":"x"}`).refused(t, http.StatusNotFound, "model", "model_not_found")
	t.Run("the body comes first", func(t *testing.T) {
		ask(t, s, "/v1/rerank?model=q", `{"model":"p"}`).served(t, "ok", "d", 1, 0)
	})
}

func TestModelOfAPlaceholder(t *testing.T) {
	u := scripted.New(t)
	s := routerWith(t, "model {http.request.header.X-Model}\n"+alone(u, ""))
	for _, body := range []string{`{"model":"other"}`, `{"model":"p"}`, `{"model":""}`} {
		ask(t, s, chatPath, body, "X-Model", "p").served(t, "ok", "a", 1, 0)
		if got := string(u.Last(t).Body); got != `{"model":"p"}` {
			t.Errorf("%s: got body %s upstream, want the model of the placeholder", body, got)
		}
	}
	ask(t, s, chatPath, `{}`, "X-Model", "p").served(t, "ok", "a", 1, 0)
	if got := string(u.Last(t).Body); got != `{"model":"p"}` {
		t.Errorf("got body %s upstream, want the model of the placeholder put in", got)
	}
	before := u.Count()
	ask(t, s, chatPath, plain).refused(t, http.StatusBadRequest, "model", "missing_required_parameter")
	ask(t, s, chatPath, plain, "X-Model", "q").refused(t, http.StatusNotFound, "model", "model_not_found")
	counts(t, "a", u, before)
}
