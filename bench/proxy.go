package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// proxy is what a load goes through; one without a binary is the upstream itself.
type proxy struct {
	name, binary, config string
}

const (
	direct     = "direct"
	plainCaddy = "caddy"
	router     = "router"
)

var (
	//go:embed caddy.Caddyfile
	caddyConfig string
	//go:embed router.Caddyfile
	routerConfig string
	//go:embed full.Caddyfile
	fullConfig string
	//go:embed dead.Caddyfile
	deadConfig string

	// configs are those of the router by the names of their proxies.
	configs = map[string]string{
		router:        routerConfig,
		"full":        fullConfig,
		"dead":        deadConfig,
		"pools":       manyPools(routerConfig, 1000),
		"deployments": manyDeployments(routerConfig, 100),
		"cache":       inPool(routerConfig, "\t\t\tcache 1h\n"),
	}
)

// proxiesNamed are the proxies with these names, separated by commas.
func proxiesNamed(names, caddy, routerBinary string) (list []*proxy, err error) {
	for name := range strings.SplitSeq(names, ",") {
		p := &proxy{name: name}
		switch config, ok := configs[name]; {
		case ok:
			p.binary, p.config = routerBinary, config
		case name == plainCaddy:
			p.binary, p.config = caddy, caddyConfig
		case name != direct:
			return nil, fmt.Errorf("there is no proxy %q", name)
		}
		if slices.ContainsFunc(list, func(other *proxy) bool { return other.name == name }) {
			return nil, fmt.Errorf("proxy %q is there twice", name)
		}
		list = append(list, p)
	}
	return list, nil
}

// manyPools is a router's config with further pools, n in all, that nobody asks for.
func manyPools(config string, n int) string {
	var pools strings.Builder
	for i := range n - 1 {
		fmt.Fprintf(&pools, "\t\tpool other-%d {\n\t\t\tdeployment a http://127.0.0.1:1/v1\n\t\t}\n", i)
	}
	const open = "\tllm_router {\n"
	return strings.Replace(config, open, open+pools.String(), 1)
}

// manyDeployments is a router's config with further deployments, n in all, on the
// same two upstreams.
func manyDeployments(config string, n int) string {
	var deployments strings.Builder
	for i := range n - 2 {
		fmt.Fprintf(&deployments, "\t\t\tdeployment d%d http://{$BENCH_UPSTREAM_%d}/v1\n", i, 1+i%2)
	}
	return inPool(config, deployments.String())
}

// inPool is a config with more in its pool.
func inPool(config, more string) string {
	const open = "pool bench-model {\n"
	return strings.Replace(config, open, open+more, 1)
}
