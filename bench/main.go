// Command bench runs the router and plain Caddy side by side on loopback, in front of
// the same upstreams, and tells what each costs as a ratio to plain Caddy. Proxies
// take turns in every round, so that what else the machine does meets all of them,
// and ratios are taken within a round. It needs Linux; bench/run.sh builds all that
// it needs and keeps the proxies on a core of their own.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

//go:embed caddy.Caddyfile
var caddyConfig string

//go:embed router.Caddyfile
var routerConfig string

//go:embed full.Caddyfile
var fullConfig string

// bench is one run.
type bench struct {
	upstreams        []*upstream
	proxies          []*proxy
	scenarios        []*scenario
	rounds           int
	duration, warmUp time.Duration
	core, dir        string
}

// proxy is what a load goes through; one without a binary is the upstream itself.
type proxy struct {
	name, binary, config string
}

func main() {
	log.SetFlags(log.Ltime)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	samples, err := run(ctx, os.Args[1:])
	cancel()
	report(os.Stdout, samples)
	if err != nil {
		log.Fatal(err)
	}
}

// run makes the run that the arguments ask for. With an error it returns what was
// measured before.
func run(ctx context.Context, args []string) ([]sample, error) {
	var b bench
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	caddy := flags.String("caddy", "", "plain Caddy, a `file`")
	router := flags.String("router", "", "a Caddy with llm_router, a `file`")
	full := flags.Bool("full", false, "run the router a second time, with limits, prices, metrics and an access log")
	which := flags.String("scenarios", "json,sse,streams", "the scenarios whose names begin with one of these `prefixes`")
	flags.IntVar(&b.rounds, "rounds", 5, "`number` of rounds")
	flags.DurationVar(&b.duration, "duration", 2*time.Second, "`time` to measure each proxy in each scenario of a round")
	flags.DurationVar(&b.warmUp, "warm-up", 500*time.Millisecond, "`time` before it")
	flags.StringVar(&b.core, "core", "", "`core` of the proxies, for taskset; none: any")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if *caddy == "" || *router == "" {
		return nil, fmt.Errorf("-caddy and -router are missing; bench/run.sh builds both")
	}
	b.proxies = []*proxy{{name: direct}, {reference, *caddy, caddyConfig}, {"router", *router, routerConfig}}
	if *full {
		b.proxies = append(b.proxies, &proxy{"router, full", *router, fullConfig})
	}
	var err error
	if b.scenarios, err = named(*which); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	for range 2 {
		u, err := newUpstream()
		if err != nil {
			return nil, err
		}
		defer u.server.Close()
		b.upstreams = append(b.upstreams, u)
	}
	return b.run(ctx)
}

// run makes all rounds.
func (b *bench) run(ctx context.Context) (all []sample, err error) {
	for round := range b.rounds {
		for _, s := range b.scenarios {
			for i := range b.proxies {
				p := b.proxies[(i+round)%len(b.proxies)] // who is first changes
				if s.memory && p.binary == "" {
					continue
				}
				result, err := b.one(ctx, s, p)
				if err != nil {
					return all, fmt.Errorf("%s through %s: %w", s.name, p.name, err)
				}
				result.proxy, result.scenario, result.round = p.name, s.name, round
				all = append(all, result)
			}
		}
		log.Printf("round %d of %d done", round+1, b.rounds)
	}
	return all, nil
}

// one measures one proxy in one scenario. Its process is new, so that no scenario
// bears what the one before it has left.
func (b *bench) one(ctx context.Context, s *scenario, p *proxy) (sample, error) {
	if p.binary == "" {
		return b.measure(ctx, s, b.upstreams[0].addr, nil)
	}
	process, err := startProxy(ctx, p.binary, strings.TrimSpace(p.config)+"\n", b.core, b.dir, b.upstreams)
	if err != nil {
		return sample{}, err
	}
	defer process.stop()
	return b.measure(ctx, s, process.addr, process)
}
