package freeport_test

import (
	"net"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/freeport"
)

func TestAddr(t *testing.T) {
	given := make(map[string]bool)
	for range 500 {
		addr, err := freeport.Addr()
		if err != nil {
			t.Fatal(err)
		}
		if given[addr] {
			t.Fatalf("%s was given twice", addr)
		}
		given[addr] = true
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
}
