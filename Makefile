# What takes a quiet machine or long, and is not in .ci/run.

BENCH ?= .
COUNT ?= 6
PACKAGES ?= ./...

benchstat = go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

.PHONY: bench compare

# The benchmarks of all steps, and of the router beside a bare reverse_proxy:
# make bench BENCH=Proxy PACKAGES=.
bench:
	go test -run '^$$' -bench '$(BENCH)' -count $(COUNT) -cpu 1 $(PACKAGES) | tee bench.out
	$(benchstat) bench.out
	$(benchstat) -filter '.name:Proxy' -col /proxy bench.out

# The router and plain Caddy as processes on loopback: make compare FLAGS='-rounds 9'.
compare:
	bench/run.sh $(FLAGS)
