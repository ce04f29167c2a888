// Package clients tests the router with the clients that people use: official
// ones and frameworks, in Go, Python and Node, as programs that know nothing of
// it, over real connections, while every second request to the first deployment
// fails.
package clients

import (
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

// programs are how the clients of the table are tried. Empty is in this process.
var programs = map[string]string{
	"openai (Go)":       "",
	"openai (Python)":   "python/openai_client.py",
	"openai (Node)":     "node/openai.mjs",
	"ai (Vercel)":       "node/ai-sdk.mjs",
	"LangChain.js":      "node/langchain.mjs",
	"@anthropic-ai/sdk": "node/anthropic.mjs",
}

func TestClients(t *testing.T) {
	clients, holds := table(t)
	if len(clients) != len(programs) {
		t.Errorf("%s has %d clients, want %d", page, len(clients), len(programs))
	}
	for _, client := range clients {
		t.Run(client, func(t *testing.T) {
			program, ok := programs[client]
			if !ok {
				t.Fatalf("%s has a client that nothing is known of", page)
			}
			r := startRouter(t, caddyharness.WithTCP())
			if program == "" {
				goCases(r).run(t, holds[client])
			} else {
				runScript(t, r, program).run(t, holds[client])
			}
			r.check(t)
		})
	}
}

// Over HTTP/2 an aborted stream ends without its connection, and so do requests
// whose answers are cut.
func TestGoClientOverHTTP2(t *testing.T) {
	_, holds := table(t)
	r := startRouter(t, caddyharness.WithTLS())
	resp, err := r.Client().Get(r.URL("/v1/models"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Fatalf("got %s, want HTTP/2", resp.Proto)
	}
	goCases(r).run(t, holds["openai (Go)"])
	r.check(t)
}
