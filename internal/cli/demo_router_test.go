package cli

import (
	"bytes"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestLoopback(t *testing.T) {
	tests := []struct {
		listen, host, port string // no host: refused
	}{
		{"127.0.0.1:0", "127.0.0.1", "0"},
		{"127.0.0.2:8080", "127.0.0.2", "8080"},
		{"localhost:8080", "127.0.0.1", "8080"},
		{":8080", "127.0.0.1", "8080"},
		{"[::1]:65535", "::1", "65535"},
		{"0.0.0.0:8080", "", ""},
		{"[::]:8080", "", ""},
		{"192.168.1.1:8080", "", ""},
		{"example.com:8080", "", ""},
		{"localhost", "", ""},
		{"localhost:", "", ""},
		{"localhost:65536", "", ""},
		{"localhost:-1", "", ""},
		{"localhost:80 {", "", ""},
		{"127.0.0.1\n}:80", "", ""},
		{"", "", ""},
	}
	for _, tt := range tests {
		host, port, err := loopback(tt.listen)
		if host != tt.host || port != tt.port || (err == nil) != (tt.host != "") {
			t.Errorf("%q: got %q, %q, %v; want %q, %q", tt.listen, host, port, err, tt.host, tt.port)
		}
	}
}

// Whoever reads the demonstration's config to learn from it sees what caddy fmt
// would make of it.
func TestDemoConfigIsFormatted(t *testing.T) {
	if got := caddyfile.Format([]byte(demoConfig)); !bytes.Equal(got, []byte(demoConfig)) {
		t.Errorf("caddy fmt makes of it:\n%s", got)
	}
}
