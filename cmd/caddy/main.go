// Command caddy is a standard Caddy with llm_router in it, for those who build
// from a checkout. Others get the same from
// xcaddy build --with github.com/llmrouter/caddy-llm-router.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/llmrouter/caddy-llm-router"
)

func main() {
	caddycmd.Main()
}
