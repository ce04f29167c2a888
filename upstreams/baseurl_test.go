package upstreams

import (
	"strings"
	"testing"
)

func TestParseBaseURL(t *testing.T) {
	tests := []struct {
		in     string
		scheme string
		h2c    bool
		dial   string
		host   string
		prefix string
		query  string
	}{
		{in: "http://gpu-1:8000/v1", scheme: "http", dial: "gpu-1:8000", host: "gpu-1:8000", prefix: "/v1"},
		{in: "http://gpu-1", scheme: "http", dial: "gpu-1:80", host: "gpu-1"},
		{in: "http://gpu-1:80/", scheme: "http", dial: "gpu-1:80", host: "gpu-1"},
		{in: "http://gpu-1:443", scheme: "http", dial: "gpu-1:443", host: "gpu-1:443"},
		{in: "https://api.openai.com/v1", scheme: "https", dial: "api.openai.com:443", host: "api.openai.com", prefix: "/v1"},
		{in: "https://api.openai.com:443/v1/", scheme: "https", dial: "api.openai.com:443", host: "api.openai.com", prefix: "/v1"},
		{in: "https://h:80", scheme: "https", dial: "h:80", host: "h:80"},
		{in: "https://h:8443//", scheme: "https", dial: "h:8443", host: "h:8443"},
		{in: "h2c://h:9000/v1", scheme: "http", h2c: true, dial: "h:9000", host: "h:9000", prefix: "/v1"},
		{in: "h2c://h", scheme: "http", h2c: true, dial: "h:80", host: "h"},
		{in: "http://[::1]:8000/v1", scheme: "http", dial: "[::1]:8000", host: "[::1]:8000", prefix: "/v1"},
		{in: "http://[::1]/v1", scheme: "http", dial: "[::1]:80", host: "[::1]", prefix: "/v1"},
		{in: "https://[2001:db8::1]:443", scheme: "https", dial: "[2001:db8::1]:443", host: "[2001:db8::1]"},
		{
			in: "https://e.openai.azure.com/openai/deployments/gpt-4o?api-version=2024-10-21", scheme: "https",
			dial: "e.openai.azure.com:443", host: "e.openai.azure.com", prefix: "/openai/deployments/gpt-4o", query: "api-version=2024-10-21",
		},
		{in: "http://h/a%2Fb/v1", scheme: "http", dial: "h:80", host: "h", prefix: "/a%2Fb/v1"},
		{in: "HTTP://Gpu-1:8000", scheme: "http", dial: "Gpu-1:8000", host: "Gpu-1:8000"},
		{in: "unix//run/model.sock", scheme: "http", dial: "unix//run/model.sock", host: "localhost"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			b, err := parseBaseURL(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if b.scheme != tt.scheme || b.h2c != tt.h2c || b.dial != tt.dial || b.host != tt.host || b.prefix != tt.prefix {
				t.Errorf("got scheme %q, h2c %v, dial %q, host %q, prefix %q; want %q, %v, %q, %q, %q",
					b.scheme, b.h2c, b.dial, b.host, b.prefix, tt.scheme, tt.h2c, tt.dial, tt.host, tt.prefix)
			}
			if got := b.query.Encode(); got != tt.query {
				t.Errorf("got query %q, want %q", got, tt.query)
			}
		})
	}
}

func TestParseBaseURLRefuses(t *testing.T) {
	tests := []struct{ name, in, want, never string }{
		{"no scheme", "gpu-1:8000/v1", "expected http://", ""},
		{"no scheme, no port", "gpu-1", "expected http://", ""},
		{"another scheme", "ftp://h", "expected http://", ""},
		{"WebSocket", "wss://h/v1", "WebSocket upgrades use the same address", ""},
		{"no host", "http:///v1", "has no host", ""},
		{"port without host", "http://:8000", "has no host", ""},
		{"password", "https://me:sekrit@h/v1", "use api_key", "sekrit"},
		{"fragment", "https://h/v1#x", "fragment", ""},
		{"bad port", "http://h:port", "base_url", ""},
		{"no URL at all", "http://h/%zz", "base_url", ""},
		{"relative socket", "unix/run/model.sock", "unix//path/to/socket", ""},
		{"no socket", "unix//", "unix//path/to/socket", ""},
		{"empty socket", "unix/", "unix//path/to/socket", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := parseBaseURL(tt.in)
			if err == nil {
				t.Fatalf("got %+v, want an error with %q", b, tt.want)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want it to say %q", err, tt.want)
			}
			if tt.never != "" && strings.Contains(err.Error(), tt.never) {
				t.Errorf("%q shows %q", err, tt.never)
			}
		})
	}
}

// A password is not shown either where the rest of the address is wrong.
func TestParseBaseURLErrorsShowNoPassword(t *testing.T) {
	for _, in := range []string{"ftp://me:sekrit@h", "wss://me:sekrit@h", "http://me:sekrit@", "http://me:sekrit@h:port", "https://me:sekrit@h/%zz"} {
		if _, err := parseBaseURL(in); err == nil || strings.Contains(err.Error(), "sekrit") {
			t.Errorf("%s: got %v, want an error without the password", in, err)
		}
	}
}

func TestBaseURLPath(t *testing.T) {
	tests := []struct{ prefix, client, want string }{
		{"", "/v1/chat/completions", "/v1/chat/completions"},
		{"", "/v1", "/v1"},
		{"/v1", "/v1/chat/completions", "/v1/chat/completions"},
		{"/openai/v1", "/v1/chat/completions", "/openai/v1/chat/completions"},
		{"/openai/v1", "/v1", "/openai/v1"},
		{"/openai/v1", "/v1/", "/openai/v1/"},
		{"/openai/v1", "/v10/models", "/openai/v1/v10/models"},
		{"/openai/v1", "/v1beta/models", "/openai/v1/v1beta/models"},
		{"/openai/v1", "/chat/completions", "/openai/v1/chat/completions"},
		{"/api", "/v1/v1/x", "/api/v1/x"},
		{"/api", "/api/chat", "/api/api/chat"},
		{"/a%2Fb", "/v1/files/c%2Fd", "/a%2Fb/files/c%2Fd"},
	}
	for _, tt := range tests {
		b := baseURL{prefix: tt.prefix}
		if got := b.path(tt.client); got != tt.want {
			t.Errorf("prefix %q, path %q: got %q, want %q", tt.prefix, tt.client, got, tt.want)
		}
	}
}

func TestBaseURLQuery(t *testing.T) {
	tests := []struct{ name, base, client, want string }{
		{"neither", "http://h", "", ""},
		{"the client's, byte for byte", "http://h", "b=2&a=1&a=%20;x", "b=2&a=1&a=%20;x"},
		{"the address's", "http://h?api-version=1", "", "api-version=1"},
		{"both", "http://h?api-version=1", "a=1", "a=1&api-version=1"},
		{"the address's own wins", "http://h?api-version=1", "api-version=2&a=1&api-version=3", "a=1&api-version=1"},
		{"a part that does not parse is dropped", "http://h?v=1", "a=%zz&b=2", "b=2&v=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := parseBaseURL(tt.base)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // merging leaves the address's query as it was
				if got := b.rawQuery(tt.client); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
		})
	}
}
