// Command bench runs the router and plain Caddy side by side on loopback, in front of
// the same upstreams, and tells what each costs as a ratio to plain Caddy. Proxies
// take turns in every round, so that what else the machine does meets all of them,
// and ratios are taken within a round. It needs Linux; bench/run.sh builds all that
// it needs and keeps the proxies on a core of their own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// bench is one run.
type bench struct {
	upstreams        []*upstream
	proxies          []*proxy
	scenarios        []*scenario
	rounds           int
	duration, warmUp time.Duration
	core, dir        string
	reference        string // the name of a proxy
}

func main() {
	log.SetFlags(log.Ltime)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Args[1:])
	cancel()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Fatal(err)
	}
}

// run makes the run that the arguments ask for and writes a table of it, with an
// error of what was measured before.
func run(ctx context.Context, w io.Writer, args []string) error {
	var b bench
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	caddy := flags.String("caddy", "", "plain Caddy, a `file`")
	binary := flags.String("router", "", "a Caddy with llm_router, a `file`")
	proxies := flags.String("proxies", "direct,caddy,router", "`names` of what to measure: direct, caddy, router, and the router\n"+
		"with all that it can count (full), a thousand pools (pools), a\nhundred deployments (deployments), one of two of them away (dead), and the answer at hand (cache)")
	flags.StringVar(&b.reference, "to", plainCaddy, "`name` of the proxy that ratios are taken to")
	which := flags.String("scenarios", "json,sse,streams", "the scenarios whose names begin with one of these `prefixes`:\n"+scenarioNames())
	flags.IntVar(&b.rounds, "rounds", 5, "`number` of rounds")
	flags.DurationVar(&b.duration, "duration", 2*time.Second, "`time` to measure each proxy in each scenario of a round")
	flags.DurationVar(&b.warmUp, "warm-up", 500*time.Millisecond, "`time` before it")
	flags.StringVar(&b.core, "core", "", "`core` of the proxies, for taskset; none: any")
	err := flags.Parse(args)
	if err != nil {
		return err
	}
	if *caddy == "" || *binary == "" {
		return errors.New("-caddy and -router are missing; bench/run.sh builds both")
	}
	if b.proxies, err = proxiesNamed(*proxies, *caddy, *binary); err != nil {
		return err
	}
	if b.scenarios, err = scenariosNamed(*which); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	for range 2 {
		u, err := newUpstream()
		if err != nil {
			return err
		}
		defer u.server.Close()
		b.upstreams = append(b.upstreams, u)
	}
	samples, err := b.run(ctx)
	report(w, samples, b.reference)
	return err
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
	process, err := startProxy(ctx, p.binary, p.config, b.core, b.dir, b.upstreams)
	if err != nil {
		return sample{}, err
	}
	defer process.stop()
	process.keeps = p.name == "cache"
	return b.measure(ctx, s, process.addr, process)
}
