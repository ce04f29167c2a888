package caddyharness

import (
	"crypto/tls"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// certificate is what a Caddy with TLS serves, and what its client trusts.
type certificate struct {
	certPEM, keyPEM string
	client          *tls.Config
}

func newCertificate(t testing.TB) *certificate {
	t.Helper()
	cert := scripted.NewCert(t, "localhost", "127.0.0.1", "example.com")
	certPEM, keyPEM := scripted.PEM(t, cert)
	return &certificate{certPEM, keyPEM, &tls.Config{RootCAs: scripted.Roots(cert)}}
}
