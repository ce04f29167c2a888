package cli_test

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// adminAPI answers requests for the status with a body, on the network given,
// and returns its address in Caddy's notation.
func adminAPI(t *testing.T, network, listen string, code int, body string) string {
	t.Helper()
	listener, err := net.Listen(network, listen)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/llm_router/status" {
			t.Errorf("got %s %s, want GET /llm_router/status", r.Method, r.URL.Path)
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // until it is closed
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	if network == "unix" {
		return "unix/" + listen
	}
	return listener.Addr().String()
}

const healthyStatus = `{"pools":[{"name":"gpt-4o","strategy":"weighted","queue_depth":0,"later":1,"deployments":[
	{"id":"east","order":1,"weight":80,"state":"healthy","reason":"","in_flight":3,"requests":120,"failures":2,"ttft_ms":230}]}]}` + "\n"

const healthyTable = `DEPLOYMENT  ORDER  WEIGHT  STATE    IN FLIGHT  REQUESTS  FAILED   TTFT
gpt-4o (weighted)
  east          1      80  healthy          3       120       2  230ms
`

func TestStatusFindsTheAdminAPI(t *testing.T) {
	dir := t.TempDir()
	socket := adminAPI(t, "unix", filepath.Join(dir, "a"), 200, healthyStatus)
	tests := []struct {
		name string
		args []string
	}{
		{"over TCP", []string{"--address", adminAPI(t, "tcp", "127.0.0.1:0", 200, healthyStatus)}},
		{"over a unix socket", []string{"--address", socket}},
		{"with the socket's permissions", []string{"--address", socket + "|0200"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t.Context(), t, append([]string{"status"}, tt.args...)...)
			if got.failure != nil || got.out != healthyTable {
				t.Errorf("got %v and\n%s\nwant\n%s", got.failure, got.out, healthyTable)
			}
		})
	}
}

// Programs get what the server says, be it newer than the command.
func TestStatusAsJSON(t *testing.T) {
	got := run(t.Context(), t, "status", "--json", "--address", adminAPI(t, "tcp", "127.0.0.1:0", 200, healthyStatus))
	if got.failure != nil || got.out != healthyStatus {
		t.Errorf("got %v and %q, want %q", got.failure, got.out, healthyStatus)
	}
}

func TestStatusThatCannotBeHad(t *testing.T) {
	tests := []struct {
		name, address, want string
	}{
		{"nobody listens", "unix/" + filepath.Join(t.TempDir(), "nobody"), "no such file"},
		{"not an address", "localhost:1-3", "invalid admin address"},
		{
			"no router in that Caddy", adminAPI(t, "tcp", "127.0.0.1:0", 404, "{\"error\":\"\x1b[31mno such object\"}"),
			`HTTP 404: {"error":"[31mno such object"}`,
		},
		{"no JSON", adminAPI(t, "tcp", "127.0.0.1:0", 200, "<html>"), "the answer is not a status"},
		{"too much", adminAPI(t, "tcp", "127.0.0.1:0", 200, strings.Repeat(" ", 17<<20)), "the answer is larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t.Context(), t, "status", "--address", tt.address)
			if got.failure == nil || !strings.Contains(got.failure.Error(), tt.want) || got.out != "" {
				t.Errorf("got %v and %q, want an error with %q", got.failure, got.out, tt.want)
			}
		})
	}
}
