package wholepath

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// Two accounts of one provider, over HTTP/2: where the first is silent, the second must
// not be asked over the very connection that is.
func TestDeploymentsAtOneAddressHaveTheirOwnConnections(t *testing.T) {
	for name, policy := range map[string]string{"failover": "timeout 500ms", "hedge": "hedge 200ms\n\t\ttimeout 2s\n\t\tretries 0"} {
		t.Run(name, func(t *testing.T) {
			up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, rightAnswer)
			}))
			f := &scripted.Forgetful{Listener: up.Listener}
			up.Listener, up.EnableHTTP2 = f, true
			up.TLS = &tls.Config{}
			up.StartTLS()
			t.Cleanup(up.Close)
			s := routerWith(t, fmt.Sprintf(`pool p {
		%[2]s
		deployment a https://%[1]s/v1 {
			weight 1
			api_key one
			transport http {
				tls_insecure_skip_verify
			}
		}
		deployment b https://%[1]s/v1 {
			weight 0
			api_key two
			transport http {
				tls_insecure_skip_verify
			}
		}
	}`, up.Listener.Addr(), policy))
			if g := ask(t, s, chatPath, plain); g.status != 200 || g.header.Get("X-Llm-Deployment") != "a" {
				t.Fatalf("got %d %s by %q, want an answer by a", g.status, g.body, g.header.Get("X-Llm-Deployment"))
			}
			f.Forget()
			if g := ask(t, s, chatPath, plain); g.status != 200 || g.header.Get("X-Llm-Deployment") != "b" {
				t.Errorf("got %d %s by %q, want an answer by b", g.status, g.body, g.header.Get("X-Llm-Deployment"))
			}
		})
	}
}

// TestSocket is a source of upstreams that names a socket by a header of the request.
type TestSocket struct {
	Dir string `json:"dir"`
}

func init() { caddy.RegisterModule(TestSocket{}) }

func (TestSocket) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.upstreams.test_socket", New: func() caddy.Module { return new(TestSocket) }}
}

func (s *TestSocket) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.Args(&s.Dir) {
		return d.ArgErr()
	}
	return nil
}

func (s *TestSocket) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	return []*reverseproxy.Upstream{{Dial: "unix/" + filepath.Join(s.Dir, r.Header.Get("X-Socket"))}}, nil
}

// Sockets have no host that tells their connections apart.
func TestSocketsThatAreLookedUp(t *testing.T) {
	dir, err := os.MkdirTemp("", "up") // the paths of t.TempDir are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	sockets := []string{"a", "b", "c"}
	for _, name := range sockets {
		ln, err := net.Listen("unix", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `"`+name+" for "+r.Host+`"`)
		}))
		up.Listener = ln
		up.Start()
		t.Cleanup(up.Close)
	}
	s := routerWith(t, fmt.Sprintf(`pool p {
		deployment one http://models/v1 {
			dynamic test_socket %[1]s
		}
	}
	pool q {
		deployment two http://models/v1 {
			dynamic test_socket %[1]s
		}
	}`, dir))
	for range 2 {
		for _, name := range sockets {
			for _, model := range []string{"p", "q"} {
				g := ask(t, s, chatPath, `{"model":"`+model+`","messages":[]}`, "X-Socket", name)
				if want := `"` + name + ` for models"`; g.body != want {
					t.Errorf("socket %s: got %d %s, want %s", name, g.status, g.body, want)
				}
			}
		}
	}
}
