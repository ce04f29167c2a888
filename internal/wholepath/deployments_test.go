package wholepath

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// What a deployment block makes of a request, and what its limits, its health
// and a reload do to it.

// deployment is a pool p of one deployment d.
func deployment(base, block string) string {
	return fmt.Sprintf("retries 0\ncooldown off\npool p {\n\tdeployment d %s {\n%s\n}\n}\n", base, block)
}

// reload loads another config and waits until it is reached: a connection made
// meanwhile may have been accepted by the old server, which then closes it.
func reload(t *testing.T, s *caddyharness.Server, config string) {
	t.Helper()
	s.Reload(t, config)
	s.Client().CloseIdleConnections()
	eventually(t, "the new config to answer", 5*time.Second, func() bool {
		resp, err := s.Client().Get(s.URL("/v1/models"))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err == nil
	})
}

func TestBaseURLPrefixAndQuery(t *testing.T) {
	tests := []struct{ name, base, path, wantPath, wantQuery string }{
		{"no prefix", "", "/v1/chat/completions?a=1", "/v1/chat/completions", "a=1"},
		{"the same prefix", "/v1", "/v1/chat/completions", "/v1/chat/completions", ""},
		{"another prefix", "/openai/v1/", "/v1/chat/completions", "/openai/v1/chat/completions", ""},
		{"a path without /v1", "/openai/v1", "/chat/completions", "/openai/v1/chat/completions", ""},
		{"Azure", "/openai/deployments/gpt-4o?api-version=2024-10-21", "/v1/chat/completions", "/openai/deployments/gpt-4o/chat/completions", "api-version=2024-10-21"},
		{"Azure, with a query", "/openai?api-version=1", "/v1/chat/completions?api-version=2&a=b", "/openai/chat/completions", "a=b&api-version=1"},
	}
	u := scripted.New(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := routerWith(t, deployment(u.URL+tt.base, ""))
			ask(t, s, tt.path, plain).served(t, "ok", "d", 1, 0)
			got := u.Last(t)
			if got.Path != tt.wantPath || got.Query.Encode() != tt.wantQuery {
				t.Errorf("got %s?%s, want %s?%s", got.Path, got.Query.Encode(), tt.wantPath, tt.wantQuery)
			}
			if want := strings.TrimPrefix(u.URL, "http://"); got.Host != want {
				t.Errorf("got Host %q, want %q", got.Host, want)
			}
		})
	}
}

func TestAPIKey(t *testing.T) {
	t.Setenv("LLM_ROUTER_TEST_KEY", "sk-env")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("sk-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	clients := []string{"Authorization", "Bearer sk-client", "Api-Key", "sk-client", "X-Api-Key", "sk-client", "X-Goog-Api-Key", "sk-client"}
	tests := []struct {
		name, block string
		want        map[string]string // of the four headers that carry keys
	}{
		{"none: the client's own", "", map[string]string{"Authorization": "Bearer sk-client", "Api-Key": "sk-client", "X-Api-Key": "sk-client", "X-Goog-Api-Key": "sk-client"}},
		{"Authorization", "api_key sk-own", map[string]string{"Authorization": "Bearer sk-own"}},
		{"another header", "api_key sk-own api-key", map[string]string{"Api-Key": "sk-own"}},
		{"x-api-key", "api_key sk-own x-api-key", map[string]string{"X-Api-Key": "sk-own"}},
		{"environment", "api_key {env.LLM_ROUTER_TEST_KEY}", map[string]string{"Authorization": "Bearer sk-env"}},
		{"file", "api_key {file." + file + "}", map[string]string{"Authorization": "Bearer sk-file"}},
		{"by header_up", "header_up X-Api-Key sk-own", map[string]string{"X-Api-Key": "sk-own"}},
		{"chosen among the client's by header_up", "header_up Authorization {header.X-Api-Key}", map[string]string{"Authorization": "sk-client"}},
	}
	u := scripted.New(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := routerWith(t, deployment(u.URL, tt.block))
			ask(t, s, chatPath, plain, clients...).served(t, "ok", "d", 1, 0)
			h := u.Last(t).Header
			for _, name := range []string{"Authorization", "Api-Key", "X-Api-Key", "X-Goog-Api-Key"} {
				if got := strings.Join(h[name], "|"); got != tt.want[name] {
					t.Errorf("%s: got %q, want %q", name, got, tt.want[name])
				}
			}
			for _, e := range s.Logs() {
				if strings.Contains(e.Raw, "sk-own") || strings.Contains(e.Raw, "sk-env") || strings.Contains(e.Raw, "sk-file") {
					t.Errorf("the key is in the log: %s", e.Raw)
				}
			}
		})
	}
}

// form is a multipart body with an audio file and these fields.
func form(t *testing.T, fields ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	file, err := w.CreateFormFile("file", "speech.mp3")
	if err != nil {
		t.Fatal(err)
	}
	file.Write([]byte{0, 1, 2, 255, '\r', '\n', '-', '-'})
	w.Close()
	return w.FormDataContentType(), b.String()
}

func TestModelIsRewritten(t *testing.T) {
	u := scripted.New(t)
	config := fmt.Sprintf(`
		retries 0
		pool p alias {
			deployment d %[1]s {
				model "own \"name\""
			}
		}
		pool same {
			deployment d %[1]s
		}
		pool openai/* {
			deployment d %[1]s {
				model models/*-latest
			}
		}
		pool any/* {
			deployment d %[1]s
		}
	`, u.URL)
	const quoted = `own \"name\"`
	tests := []struct{ name, body, want string }{
		{"in place", `{"n":1, "model" : "p","messages":[]}`, `{"n":1, "model" : "` + quoted + `","messages":[]}`},
		{"written with escapes", `{"model":"\u0070"}`, `{"model":"` + quoted + `"}`},
		{"an alias", `{"model":"alias"}`, `{"model":"` + quoted + `"}`},
		{"not without need", `{ "model":"same" }`, `{ "model":"same" }`},
		{"a star", `{"model":"openai/gpt-4o"}`, `{"model":"models/gpt-4o-latest"}`},
		{"a star of odd text", `{"model":"openai/a*\"b"}`, `{"model":"models/a*\"b-latest"}`},
		{"the name asked for", `{"model":"any/thing"}`, `{"model":"any/thing"}`},
	}
	s := routerWith(t, config)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if g := ask(t, s, chatPath, tt.body); g.status != http.StatusOK {
				t.Fatalf("got status %d, %s", g.status, g.body)
			}
			if got := string(u.Last(t).Body); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	for name, tt := range map[string][2]string{"in a form": {"p", `own "name"`}, "in a form, with a star": {"openai/whisper", "models/whisper-latest"}} {
		t.Run(name, func(t *testing.T) {
			contentType, body := form(t, "language", "en", "model", tt[0])
			g := ask(t, s, "/v1/audio/transcriptions", body, "Content-Type", contentType)
			if g.status != http.StatusOK {
				t.Fatalf("got status %d, %s", g.status, g.body)
			}
			got := u.Last(t)
			if want := strings.Replace(body, "\r\n\r\n"+tt[0]+"\r\n", "\r\n\r\n"+tt[1]+"\r\n", 1); string(got.Body) != want {
				t.Errorf("got %q, want %q", got.Body, want)
			}
			if got.Header.Get("Content-Type") != contentType || got.Header.Get("Content-Length") != strconv.Itoa(len(got.Body)) {
				t.Errorf("got %v for %d bytes", got.Header, len(got.Body))
			}
		})
	}
}

func TestModelByPlaceholder(t *testing.T) {
	u := scripted.New(t)
	s := routerWith(t, fmt.Sprintf("model {header.X-Model}\nretries 0\npool p {\n\tdeployment d %[1]s\n}\npool q {\n\tdeployment d %[1]s {\n\t\tmodel own\n\t}\n}\n", u.URL))
	tests := []struct{ name, model, body, want string }{
		{"over the body's, without a name of the deployment", "p", `{"model":"other","n":1}`, `{"model":"p","n":1}`},
		{"over the body's, with one", "q", `{"model":"other","n":1}`, `{"model":"own","n":1}`},
		{"the same as the body's", "p", `{"model":"p","n":1}`, `{"model":"p","n":1}`},
		{"the body's is the deployment's", "q", `{"model":"own","n":1}`, `{"model":"own","n":1}`},
		{"a body without", "p", `{"n":1}`, `{"model":"p","n":1}`},
		{"an empty body", "q", `{}`, `{"model":"own"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if g := ask(t, s, chatPath, tt.body, "X-Model", tt.model); g.status != http.StatusOK {
				t.Fatalf("got status %d, %s", g.status, g.body)
			}
			if got := string(u.Last(t).Body); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("a form without", func(t *testing.T) {
		contentType, body := form(t, "language", "en")
		ask(t, s, "/v1/audio/transcriptions", body, "Content-Type", contentType, "X-Model", "p").served(t, "", "d", 1, 0)
		got := string(u.Last(t).Body)
		boundary, _, _ := strings.Cut(body, "\r\n")
		if want := boundary + "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\np\r\n" + body; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	if g := ask(t, s, chatPath, `{"model":"p"}`); g.status != http.StatusBadRequest {
		t.Errorf("no header, so no model: got status %d, want 400", g.status)
	}
}

func TestHeaderOperations(t *testing.T) {
	u := scripted.New(t).Always(scripted.Reply(200, http.Header{"X-Internal": {"1"}, "X-Version": {"vllm 0.6"}}, answerBody))
	s := routerWith(t, deployment(u.URL, `
		api_key sk-own
		header_up Host model.example
		header_up X-Tenant {header.X-Team}
		header_up X-Upstream {upstream_hostport}
		header_up +X-Multi b
		header_up -Cookie
		header_up User-Agent Python Snake
		header_up Authorization "Bearer " "Token "
		header_down -X-Internal
		header_down X-Version vllm model
		header_down X-Served-By {upstream_hostport}
	`))
	for range 2 { // what one request does must not show in the next
		g := ask(t, s, chatPath, plain, "X-Team", "blue", "X-Multi", "a", "Cookie", "a=1", "User-Agent", "OpenAI/Python")
		g.served(t, "ok", "d", 1, 0)
		r := u.Last(t)
		addr := strings.TrimPrefix(u.URL, "http://")
		if r.Host != "model.example" {
			t.Errorf("got Host %q, want the one of header_up", r.Host)
		}
		for name, want := range map[string]string{
			"X-Tenant": "blue", "X-Upstream": addr, "X-Multi": "a|b", "Cookie": "", "User-Agent": "OpenAI/Snake", "Authorization": "Token sk-own",
		} {
			if got := strings.Join(r.Header[name], "|"); got != want {
				t.Errorf("upstream, %s: got %q, want %q", name, got, want)
			}
		}
		for name, want := range map[string]string{"X-Internal": "", "X-Version": "model 0.6", "X-Served-By": addr} {
			if got := g.header.Get(name); got != want {
				t.Errorf("client, %s: got %q, want %q", name, got, want)
			}
		}
	}
}

func TestHeaderOperationsOnAnUpgrade(t *testing.T) {
	u := scripted.New(t).Always(upperCaser)
	s := routerWith(t, deployment(u.URL+"/openai/v1?api-version=1", "model own\napi_key sk-own\nheader_up X-Tenant blue"))
	p := &pair{s: s, u: u, scheme: "http"}
	resp := p.upgrade(t, reverseProxyPort, "/v1/realtime/a%2Fb?model=p&x=1", "Authorization", "Bearer sk-client", "X-Llm-Fallback", "off")
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got status %d, want 101", resp.StatusCode)
	}
	converse(t, resp.Body.(io.ReadWriter))
	r := p.u.Last(t)
	if got, want := resp.Header.Get("X-Upstream-Path"), "/openai/v1/realtime/a%2Fb?api-version=1&model=own&x=1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if r.Header.Get("Authorization") != "Bearer sk-own" || r.Header.Get("X-Tenant") != "blue" || r.Header.Get("X-Llm-Fallback") != "" || r.Header.Get("X-Forwarded-Proto") != "" {
		t.Errorf("got %v", r.Header)
	}
	if got := resp.Header.Get("X-Llm-Deployment"); got != "d" {
		t.Errorf("got deployment %q, want d", got)
	}
	resp.Body.Close()
	s.AccessLog(t, 0) // Caddy is not to be stopped while it ends the connection
}

func TestUpgradeFailsOver(t *testing.T) {
	u := scripted.New(t).Always(upperCaser)
	s := routerWith(t, fmt.Sprintf("pool p {\n\tdeployment a %s\n\tdeployment b %s {\n\t\torder 2\n\t}\n}\n", refusing(t), u.URL))
	p := &pair{s: s, u: u, scheme: "http"}
	resp := p.upgrade(t, "8080", "/v1/realtime?model=p")
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got status %d, want 101", resp.StatusCode)
	}
	converse(t, resp.Body.(io.ReadWriter))
	resp.Body.Close()
	s.AccessLog(t, 0) // Caddy is not to be stopped while it ends the connection
	got{header: resp.Header}.by(t, "b", 2, 0)
	if n := len(resp.Header["X-Llm-Deployment"]); n != 1 {
		t.Errorf("got %d deployments in the headers, want the last", n)
	}
	for name, path := range map[string]string{"unknown model": "/v1/realtime?model=nope", "two models": "/v1/realtime?model=p&model=p"} {
		if resp := p.upgrade(t, "8080", path); resp.StatusCode/100 != 4 {
			t.Errorf("%s: got status %d, want a refusal", name, resp.StatusCode)
		}
	}
	counts(t, "b", u, 1)
}

func TestTransportOptions(t *testing.T) {
	secure := scripted.New(t, scripted.WithTLS())
	file := filepath.Join(t.TempDir(), "ca.pem")
	ca, _ := scripted.PEM(t, *secure.Cert)
	if err := os.WriteFile(file, []byte(ca), 0o600); err != nil {
		t.Fatal(err)
	}
	cleartext := scripted.New(t, scripted.WithH2C())
	tests := []struct {
		name, base, block string
		u                 *scripted.Upstream
		proto             string // none: refused
	}{
		{"https, trusted", secure.URL, "transport http {\ntls_trust_pool file " + file + "\n}", secure, "HTTP/2.0"},
		{"https, HTTP/1.1 only", secure.URL, "transport http {\ntls_trust_pool file " + file + "\nversions 1.1\n}", secure, "HTTP/1.1"},
		{"https, not verified", secure.URL, "transport http {\ntls_insecure_skip_verify\n}", secure, "HTTP/2.0"},
		{"https, the system's trust", secure.URL, "", secure, ""},
		{"https, another name", secure.URL, "transport http {\ntls_trust_pool file " + file + "\ntls_server_name other.example\n}", secure, ""},
		{"https, a name by placeholder", secure.URL, "transport http {\ntls_trust_pool file " + file + "\ntls_server_name {http.reverse_proxy.upstream.host}\n}", secure, "HTTP/"},
		{"other options beside https", secure.URL, "transport http {\ntls_insecure_skip_verify\ndial_timeout 1s\nkeepalive off\n}", secure, "HTTP/"},
		{"tls in the transport alone", strings.Replace(secure.URL, "https", "http", 1), "transport http {\ntls_insecure_skip_verify\n}", secure, "HTTP/2.0"},
		{"h2c", "h2c://" + cleartext.Addr, "", cleartext, "HTTP/2.0"},
		{"h2c with options", "h2c://" + cleartext.Addr, "transport http {\ndial_timeout 1s\n}", cleartext, "HTTP/2.0"},
		{"http", cleartext.URL, "", cleartext, "HTTP/1.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := tt.u.Count()
			g := ask(t, routerWith(t, deployment(tt.base, tt.block)), chatPath, plain)
			if tt.proto == "" {
				if g.status != http.StatusBadGateway || tt.u.Count() != before {
					t.Errorf("got status %d after %d requests, want 502 after none", g.status, tt.u.Count()-before)
				}
				return
			}
			g.served(t, "ok", "d", 1, 0)
			if got := tt.u.Last(t).Proto; !strings.HasPrefix(got, tt.proto) {
				t.Errorf("got %s, want %s", got, tt.proto)
			}
		})
	}
}

func TestDynamicUpstreams(t *testing.T) {
	u := scripted.New(t)
	host, port, err := net.SplitHostPort(u.Addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range []string{"", "lb_policy least_conn", "lb_policy round_robin", "lb_policy first", "lb_policy ip_hash", "lb_policy header X-Session", "lb_policy cookie"} {
		for name, source := range map[string]string{
			"a":     "dynamic a {\nname " + host + "\nport " + port + "\n}",
			"multi": "dynamic multi {\na {\nname " + host + "\nport " + port + "\n}\n}",
		} {
			t.Run(name+" "+policy, func(t *testing.T) {
				s := routerWith(t, deployment("", source+"\n"+policy+"\napi_key sk-own\nmodel own"))
				for range 3 {
					ask(t, s, chatPath, plain, "X-Session", "1").served(t, "ok", "d", 1, 0)
				}
				if r := u.Last(t); r.Host != u.Addr || r.Header.Get("Authorization") != "Bearer sk-own" || !bytes.Contains(r.Body, []byte(`"own"`)) {
					t.Errorf("got Host %q, %v, %s", r.Host, r.Header, r.Body)
				}
			})
		}
	}
	t.Run("none found", func(t *testing.T) {
		g := ask(t, routerWith(t, deployment("", "dynamic multi {\na {\nname no-such-host.invalid\nport 80\n}\n}")), chatPath, plain)
		if g.status != http.StatusBadGateway {
			t.Errorf("got status %d, want 502", g.status)
		}
	})
}

func TestHealthChecks(t *testing.T) {
	checked := func(r []scripted.Request) (checks []scripted.Request) {
		for _, r := range r {
			if r.Method == http.MethodGet {
				checks = append(checks, r)
			}
		}
		return checks
	}
	tests := []struct{ name, base, uri, wantPath, wantQuery string }{
		{"prefix", "/openai/v1?api-version=1", "/v1/models", "/openai/v1/models", "api-version=1"},
		{"plain path", "/openai/v1?api-version=1", "/healthz?deep=1", "/healthz", "deep=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := scripted.New(t)
			routerWith(t, deployment(u.URL+tt.base, "api_key sk-own\nhealth_interval 20ms\nhealth_uri "+tt.uri))
			r := u.WaitCount(t, 2)[1]
			if r.Path != tt.wantPath || r.Query.Encode() != tt.wantQuery || r.Header.Get("Authorization") != "Bearer sk-own" || r.Host != u.Addr {
				t.Errorf("got %s?%s, Host %q, %v; want %s?%s with the key", r.Path, r.Query.Encode(), r.Host, r.Header, tt.wantPath, tt.wantQuery)
			}
		})
	}

	// answer gives health checks a status, and requests an answer.
	answer := func(status int) scripted.Step {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w.WriteHeader(status)
				return
			}
			jsonAnswer(200)(w, r)
		}
	}
	pools := func(a, b *scripted.Upstream, policy string) string {
		return fmt.Sprintf("retries 0\n%s\npool p {\n\tdeployment a %s {\nhealth_uri /health\nhealth_interval 20ms\n}\n\tdeployment b %s {\n\t\torder 2\nhealth_uri /health\nhealth_interval 20ms\n}\n}\n", policy, a.URL, b.URL)
	}
	served := func(t *testing.T, s *caddyharness.Server) string {
		t.Helper()
		g := ask(t, s, chatPath, plain)
		if g.status != http.StatusOK {
			return fmt.Sprint(g.status)
		}
		return g.header.Get("X-Llm-Deployment")
	}
	t.Run("an unhealthy one is left out until it is back", func(t *testing.T) {
		a, b := scripted.New(t).Always(answer(503)), scripted.New(t).Always(answer(200))
		s := routerWith(t, pools(a, b, ""))
		eventually(t, "a to be left out", 5*time.Second, func() bool { return served(t, s) == "b" })
		a.Always(answer(200))
		eventually(t, "a to be back", 5*time.Second, func() bool { return served(t, s) == "a" })
	})
	t.Run("a busy one is not dead", func(t *testing.T) {
		a, b := scripted.New(t).Always(answer(429)), scripted.New(t).Always(answer(200))
		s := routerWith(t, pools(a, b, ""))
		a.WaitFor(t, "some checks", func(r []scripted.Request) bool { return len(checked(r)) >= 5 })
		if got := served(t, s); got != "a" {
			t.Errorf("got %s, want a", got)
		}
	})
	t.Run("all are used when all are down", func(t *testing.T) {
		a, b := scripted.New(t).Always(answer(503)), scripted.New(t).Always(answer(200))
		s := routerWith(t, pools(a, b, ""))
		eventually(t, "a to be left out", 5*time.Second, func() bool { return served(t, s) == "b" })
		b.Always(answer(503))
		eventually(t, "all to be used", 5*time.Second, func() bool { return served(t, s) == "a" })
	})
	t.Run("none is used when all are down, without health_panic", func(t *testing.T) {
		a, b := scripted.New(t).Always(answer(503)), scripted.New(t).Always(answer(503))
		s := routerWith(t, pools(a, b, "health_panic off"))
		eventually(t, "503", 5*time.Second, func() bool { return served(t, s) == "503" })
		if g := ask(t, s, chatPath, plain); g.header.Get("Retry-After") == "" || !strings.Contains(g.body, "no_deployment_available") {
			t.Errorf("got %v, %s; want Retry-After and no_deployment_available", g.header, g.body)
		}
	})
}

func TestMaxParallel(t *testing.T) {
	ways := map[string]struct {
		step  scripted.Step
		body  string
		leave bool
	}{
		"the end of a stream":       {nil, streamed, false},
		"a client that leaves":      {scripted.StallAfter(scripted.ChatEvents("p", "Hello")[:2]...), streamed, true},
		"a client that leaves soon": {scripted.Hang(), plain, true},
		"a stream that is cut":      {scripted.CutAfter(300, scripted.Chat(0, "Hello", " world", " and", " more")), streamed, false},
		"an answer that is cut":     {scripted.CutAfter(100, scripted.Step(pieces("text/plain", strings.Repeat("x", 90), strings.Repeat("x", 90)))), plain, false},
		"a refusal":                 {scripted.Error(400, "invalid_request_error", "", "no"), plain, false},
		"a reset":                   {scripted.ResetBeforeHeaders(), plain, false},
	}
	for name, way := range ways {
		t.Run("released by "+name, func(t *testing.T) {
			u := scripted.New(t)
			gate := make(chan struct{})
			first := way.step
			if first == nil {
				first = func(w http.ResponseWriter, r *http.Request) {
					events := scripted.ChatEvents("p", "Hello")
					scripted.Stream(0, events[:2]...)(w, r)
					<-gate
					scripted.Stream(0, events[2:]...)(w, r)
				}
			} else if !way.leave {
				step := first
				first = func(w http.ResponseWriter, r *http.Request) { <-gate; step(w, r) }
			}
			u.Then(first)
			s := routerWith(t, deployment(u.URL, "max_parallel 1"))
			ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
			defer cancel()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = tryAsk(ctx, s, chatPath, way.body)
			}()
			u.WaitCount(t, 1)
			g := ask(t, s, chatPath, plain)
			if g.status != http.StatusTooManyRequests || g.header.Get("Retry-After") == "" {
				t.Errorf("while the place is taken: got status %d, Retry-After %q; want 429 with one", g.status, g.header.Get("Retry-After"))
			}
			counts(t, "d", u, 1)
			if way.leave {
				cancel()
			}
			close(gate)
			<-ended
			eventually(t, "the place to be free", 5*time.Second, func() bool {
				return ask(t, s, chatPath, plain).status == http.StatusOK
			})
		})
	}
	t.Run("released by the end of an upgrade", func(t *testing.T) {
		u := scripted.New(t).Always(upperCaser)
		p := &pair{s: routerWith(t, deployment(u.URL, "max_parallel 1")), u: u, scheme: "http"}
		resp := p.upgrade(t, "8080", "/v1/realtime?model=p")
		converse(t, resp.Body.(io.ReadWriter))
		if g := ask(t, p.s, chatPath, plain); g.status != http.StatusTooManyRequests {
			t.Errorf("while the place is taken: got status %d, want 429", g.status)
		}
		resp.Body.Close()
		u.WaitIdle(t)
		u.Always(scripted.Step(jsonAnswer(200)))
		eventually(t, "the place to be free", 5*time.Second, func() bool { return ask(t, p.s, chatPath, plain).status == http.StatusOK })
	})
}

func TestRPMLimit(t *testing.T) {
	a, b := scripted.New(t), scripted.New(t)
	s := routerWith(t, fmt.Sprintf("pool p {\n\tdeployment a %s {\n\t\trpm 2\n\t}\n\tdeployment b %s {\n\t\torder 2\n\t\trpm 1\n\t}\n}\n", a.URL, b.URL))
	for i, want := range []string{"a", "a", "b"} {
		if got := ask(t, s, chatPath, plain).header.Get("X-Llm-Deployment"); got != want {
			t.Errorf("request %d: got %s, want %s", i, got, want)
		}
	}
	g := ask(t, s, chatPath, plain)
	if g.status != http.StatusTooManyRequests || !strings.Contains(g.body, "rate_limit_exceeded") || g.header.Get("X-Should-Retry") != "true" {
		t.Errorf("got status %d, %v, %s; want 429 rate_limit_exceeded and X-Should-Retry", g.status, g.header, g.body)
	}
	seconds, err := strconv.Atoi(g.header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > 61 {
		t.Errorf("got Retry-After %q, want 1 to 61 seconds", g.header.Get("Retry-After"))
	}
	counts(t, "a", a, 2)
	counts(t, "b", b, 1)
}

func TestTeamsAndTags(t *testing.T) {
	u := scripted.New(t)
	s := routerWith(t, fmt.Sprintf(`
		team {header.X-Team}
		tags {header.X-Tags}
		retries 0
		pool p {
			deployment shared %[1]s
			deployment blue %[1]s {
				team blue
			}
		}
		pool tagged {
			deployment free %[1]s {
				tags free default
			}
			deployment paid %[1]s {
				tags paid
			}
		}
		pool secret {
			deployment red %[1]s {
				team red
			}
		}
	`, u.URL))
	tests := []struct {
		name, model, team, tags, want string
	}{
		{"nobody", "p", "", "", "shared"},
		{"a team of its own", "p", "blue", "", "blue"},
		{"another team", "p", "green", "", "shared"},
		{"a tag", "tagged", "", "paid", "paid"},
		{"tags in a list", "tagged", "", "x, paid", "paid"},
		{"no tags", "tagged", "", "", "free"},
		{"a tag that nothing has", "tagged", "", "x", "free"},
		{"tags where nothing is tagged", "p", "", "paid", "shared"},
		{"a pool of the team's", "secret", "red", "", "red"},
		{"a pool of another team's", "secret", "blue", "", "404"},
		{"a pool of a team's, for nobody", "secret", "", "", "404"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 5 { // what chance decides would show
				g := ask(t, s, chatPath, `{"model":"`+tt.model+`"}`, "X-Team", tt.team, "X-Tags", tt.tags)
				got := g.header.Get("X-Llm-Deployment")
				if g.status != http.StatusOK {
					got = strconv.Itoa(g.status)
				}
				if got != tt.want {
					t.Fatalf("got %s, want %s", got, tt.want)
				}
			}
		})
	}
}

func TestReloadThatFailsChangesNothing(t *testing.T) {
	caddyharness.NoLeaks(t)
	a, other := scripted.New(t), scripted.New(t)
	block := "max_parallel 1\nhealth_uri /health\nhealth_interval 20ms"
	s := routerWith(t, deployment(a.URL, block))
	ask(t, s, chatPath, plain).served(t, "ok", "d", 1, 0)
	good := fmt.Sprintf("pool p {\n\tdeployment d %s {\n%s\n}\n\tdeployment e %s {\n%s\n}\n}\n", other.URL, block, a.URL, block)
	for name, broken := range map[string]string{
		"a second pool that is broken": `pool q {
			deployment x http://127.0.0.1:9 {
				api_key {env.LLM_ROUTER_NO_SUCH}
			}
		}`,
		"a transport that is broken": `pool q {
			deployment x https://127.0.0.1:9 {
				transport http {
					tls_trust_pool file /no/such/file
				}
			}
		}`,
		"a fallback that is not there": "default_fallback nowhere",
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.TryReload(":8080 {\n\tllm_router {\n" + good + broken + "\n}\n}\n"); err == nil {
				t.Fatal("the config was accepted")
			}
			for range 3 {
				ask(t, s, chatPath, plain).served(t, "ok", "d", 1, 0)
			}
			checks := a.Count()
			a.WaitFor(t, "more health checks", func(r []scripted.Request) bool { return len(r) > checks+2 })
			before := other.Count()
			time.Sleep(100 * time.Millisecond) // five intervals
			if n := other.Count() - before; n > 1 {
				t.Errorf("the refused config still makes health checks: %d", n)
			}
		})
	}
	for _, r := range other.Requests() {
		if r.Method != http.MethodGet {
			t.Errorf("the refused config served %s %s", r.Method, r.Path)
		}
	}
}

func TestReloadDoesNotCutStreams(t *testing.T) {
	a, b := scripted.New(t), scripted.New(t)
	gate := make(chan struct{})
	a.Then(func(w http.ResponseWriter, r *http.Request) {
		events := scripted.ChatEvents("p", "Hello", " world")
		scripted.Stream(0, events[:2]...)(w, r)
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
		scripted.Stream(0, events[2:]...)(w, r)
	})
	s := routerWith(t, alone(a, ""))
	type result struct {
		got
		err error
	}
	done := make(chan result, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
		defer cancel()
		g, err := tryAsk(ctx, s, chatPath, streamed)
		done <- result{g, err}
	}()
	a.WaitCount(t, 1)
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		s.Reload(t, ":8080 {\n\tlog\n\tllm_router {\n"+alone(b, "")+"\n}\n}\n")
	}()
	eventually(t, "the new config to serve", 5*time.Second, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
		defer cancel()
		if _, err := tryAsk(ctx, s, chatPath, plain); err != nil {
			return false
		}
		return b.Count() > 0
	})
	close(gate)
	r := <-done
	<-reloaded
	if r.err != nil || r.got.err != nil || !strings.Contains(r.body, " world") || !strings.HasSuffix(r.body, "data: [DONE]\n\n") {
		t.Errorf("got %v, %v, %q; want the whole stream", r.err, r.got.err, r.body)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	caddyharness.NoLeaks(t)
	u := scripted.New(t)
	pools := deployment(u.URL, "health_uri /health\nhealth_interval 20ms\nmax_parallel 5") + "pool q {\n\tdeployment e " + u.URL + "\n\tstrategy weighted\n}\n"
	for range 3 {
		t.Run("cycle", func(t *testing.T) {
			s := routerWith(t, pools)
			for range 3 {
				ask(t, s, chatPath, plain).served(t, "ok", "d", 1, 0)
				ask(t, s, chatPath, streamed).served(t, "data:", "d", 1, 0)
				reload(t, s, ":8080 {\n\tlog\n\tllm_router {\n"+pools+"\n\t}\n}\n")
			}
			u.Then(scripted.StallAfter(scripted.ChatEvents("p", "Hello")[:2]...))
			left := u.Count()
			leave := inBackground(t, s, chatPath, streamed)
			u.WaitCount(t, left+1)
			leave()
		})
	}
}

// The refusals that only JSON can run into, or in other words.
func TestJSONRefusesWhatFightsTheRouter(t *testing.T) {
	u := scripted.New(t)
	config := func(proxy string) string {
		return `{"apps":{"http":{"servers":{"s":{"listen":[":8080"],"routes":[{"handle":[{"handler":"llm_router","pools":[{"name":"p","deployments":[{"id":"d","base_url":"` + u.URL + `","reverse_proxy":{` + proxy + `}}]}]}]}]}}}}}`
	}
	const dynamic = `"dynamic_upstreams":{"source":"a","name":"127.0.0.1"},`
	s := caddyharness.Load(t, config(""))
	for name, tt := range map[string]struct{ proxy, want string }{
		"load balancing":              {`"load_balancing":{"selection_policy":{"policy":"first"}}`, "the pool chooses"},
		"retries beside dynamic":      {dynamic + `"load_balancing":{"retries":3}`, "retries in the pool"},
		"try_duration beside dynamic": {dynamic + `"load_balancing":{"try_duration":"3s"}`, "retries in the pool"},
		"try_interval beside dynamic": {dynamic + `"load_balancing":{"try_interval":"3s"}`, "retries in the pool"},
		"retry_match beside dynamic":  {dynamic + `"load_balancing":{"retry_match":[{"path":["/x"]}]}`, "retries in the pool"},
		"upstreams":                   {`"upstreams":[{"dial":"127.0.0.1:1"}]`, "base_url"},
		"handle_response":             {`"handle_response":[{"status_code":"200"}]`, "judges responses itself"},
		"rewrite":                     {`"rewrite":{"method":"GET"}`, "path prefix in base_url"},
		"request_buffers":             {`"request_buffers":1000`, "max_body"},
		"response_buffers":            {`"response_buffers":1000`, "max_body"},
		"flush_interval":              {`"flush_interval":-1`, "event by event"},
		"trusted_proxies":             {`"trusted_proxies":["10.0.0.0/8"]`, "server options"},
		"passive health checks":       {`"health_checks":{"passive":{"fail_duration":"10s"}}`, "cooldown"},
		"circuit_breaker":             {`"circuit_breaker":{"type":"x"}`, "cooldown"},
		"fastcgi":                     {`"transport":{"protocol":"fastcgi"}`, "does not speak to model servers"},
		"the PROXY protocol":          {`"transport":{"protocol":"http","proxy_protocol":"v1"}`, "proxy_protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.TryReload(config(tt.proxy))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that says %q", err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), `deployment "d"`) {
				t.Errorf("%q does not say which deployment it is about", err)
			}
		})
	}
	for name, proxy := range map[string]string{
		"nothing":               "",
		"a policy with dynamic": `"dynamic_upstreams":{"source":"multi","sources":[{"source":"a","name":"127.0.0.1","port":"` + u.URL[strings.LastIndex(u.URL, ":")+1:] + `"}]},"load_balancing":{"selection_policy":{"policy":"least_conn"}}`,
		"header operations":     `"headers":{"request":{"set":{"X-A":["1"]}},"response":{"deferred":true}}`,
		"only a response match": `"headers":{"response":{"require":{"status_code":[5]},"set":{"X-A":["1"]}}}`,
		"an empty transport":    `"transport":{"protocol":"http"}`,
	} {
		t.Run("takes "+name, func(t *testing.T) {
			reload(t, s, config(proxy))
			ask(t, s, chatPath, plain).served(t, "ok", "d", 1, 0)
		})
	}
}
