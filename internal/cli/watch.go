package cli

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// watcher asks one model again and again.
type watcher struct {
	prober   *prober
	printer  printer
	interval time.Duration
	count    int // of requests; 0 for no end
	// before is called ahead of request n, counted from 1. Nil for nothing.
	before func(n int)
}

// run asks until the count is reached or ctx ends, prints each result and then
// the summary, which it returns too. A request that ctx has cut short counts
// for nothing.
func (w *watcher) run(ctx context.Context) *summary {
	var (
		seen history
		sum  summary
	)
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	for n := 1; w.count == 0 || n <= w.count; n++ {
		if n > 1 && !next(ctx, ticker) {
			break
		}
		if w.before != nil {
			w.before(n)
		}
		r := w.prober.probe(ctx)
		if ctx.Err() != nil && !r.ok() {
			break
		}
		what, before := seen.observe(&r)
		sum.add(&r, what)
		w.printer.result(n, &r, what, before)
	}
	w.printer.summary(&sum)
	return &sum
}

// next waits for the next tick; false when ctx has ended.
func next(ctx context.Context, ticker *time.Ticker) bool {
	select {
	case <-ctx.Done():
		return false
	case <-ticker.C:
		return ctx.Err() == nil
	}
}

// watchFlags are what the user gives to watch.
type watchFlags struct {
	interval, timeout time.Duration
	count             int
	stream, json      bool
	keyEnv            string
}

func newWatchCommand() *cobra.Command {
	var flags watchFlags
	cmd := &cobra.Command{
		Use:   "watch <address> <model>",
		Short: "Asks a running router again and again, and shows who serves",
		Long: `
Sends a small chat completion to a running router every few seconds and prints
one line for each: status, the model of the answer, the pool and deployment that
served it, attempts, fallbacks and latency. Lines say FAILOVER when another
deployment or pool has stepped in, and RECOVERY when the first one is back. A
summary follows at the end, also after an interrupt.

The address is one such as localhost:8080 or https://llm.example.com; /v1 is
added where it is missing. Any server with OpenAI's chat completions will do.

The exit code is 1 when a request has failed. Every request is a real one, of at
most 16 tokens, and is paid for like any other.`,
		Example: `  caddy llm-router watch localhost:8080 gpt-4o
  caddy llm-router watch https://llm.example.com gpt-4o --key-env LLM_KEY --stream --count 20`,
		Args: cobra.ExactArgs(2),
		RunE: quietly(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			return flags.run(ctx, cmd, args[0], args[1])
		}),
	}
	set := cmd.Flags()
	set.DurationVar(&flags.interval, "interval", 3*time.Second, "Time from one request to the next; a slower answer delays it")
	set.IntVarP(&flags.count, "count", "n", 0, "Number of requests; 0 is until interrupted")
	set.BoolVar(&flags.stream, "stream", false, "Ask for streams, and show the time to the first token")
	set.StringVar(&flags.keyEnv, "key-env", "", "Name of the environment variable that holds the key, sent as a Bearer token")
	set.DurationVar(&flags.timeout, "timeout", time.Minute, "Longest time for one request")
	set.BoolVar(&flags.json, "json", false, "Print one JSON object a line")
	return cmd
}

func (f *watchFlags) run(ctx context.Context, cmd *cobra.Command, address, model string) error {
	switch {
	case f.interval <= 0:
		return errors.New("--interval must be more than 0")
	case f.timeout <= 0:
		return errors.New("--timeout must be more than 0")
	case f.count < 0:
		return errors.New("--count must not be negative")
	}
	key, err := keyFrom(f.keyEnv)
	if err != nil {
		return err
	}
	p, err := newProber(address, model)
	if err != nil {
		return err
	}
	defer p.client.CloseIdleConnections()
	p.key, p.stream, p.timeout = key, f.stream, f.timeout
	w := &watcher{
		prober: p, printer: newPrinter(cmd.OutOrStdout(), f.json, f.stream),
		interval: f.interval, count: f.count,
	}
	if w.run(ctx).Failed() > 0 {
		return errRequestsFailed
	}
	return nil
}

// keyFrom reads a key from the environment, so that it stands neither in the
// list of processes nor in the shell's history.
func keyFrom(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	key := strings.TrimSpace(os.Getenv(name))
	if key == "" {
		// Without the name, in case it is the key itself.
		return "", errors.New("the environment variable that --key-env names is not set")
	}
	return key, nil
}
