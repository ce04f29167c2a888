#!/usr/bin/env bash
# Builds plain Caddy, the router and the bench, and runs the bench: the proxies on one
# core, the upstreams and the load on another. Flags are those of the bench; see
# `bench/run.sh -h`. Needs Linux, Go and taskset.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin/caddy" ./bench/plaincaddy
go build -o "$bin/router" ./cmd/caddy
go build -o "$bin/bench" ./bench
taskset -c "${LOAD_CORE:-1}" "$bin/bench" -caddy "$bin/caddy" -router "$bin/router" -core "${PROXY_CORE:-0}" "$@"
