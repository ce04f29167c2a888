package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

// demoFlags are what the user gives to demo.
type demoFlags struct {
	listen             string
	interval, cooldown time.Duration
	requests           int
	downAfter, upAfter int
	fast, json, stream bool
}

func newDemoCommand() *cobra.Command {
	var flags demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Shows a failing model being replaced, with two models of its own",
		Long: `
Starts two model servers and a router in front of them, all in this process and
on the loopback interface, and asks the router for the first model again and
again. After a few requests the first model server goes down, listener,
connections and all: the router answers the same request from the second one,
and soon asks the first no more. Some time later the first comes back, and after
its cooldown it serves again. Nothing is left running or on disk.

The model servers make their answers up, so no key and no network is needed.`,
		Example: `  caddy llm-router demo
  caddy llm-router demo --requests 60 --down-after 10 --up-after 40`,
		Args: cobra.NoArgs,
		RunE: quietly(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			if flags.fast {
				flags.hurry(cmd)
			}
			return flags.run(ctx, cmd)
		}),
	}
	set := cmd.Flags()
	set.StringVar(&flags.listen, "listen", "127.0.0.1:0", "Loopback address of the router; port 0 is a free one")
	set.DurationVar(&flags.interval, "interval", time.Second, "Time from one request to the next")
	set.DurationVar(&flags.cooldown, "cooldown", 10*time.Second, "How long the router leaves the failing model alone")
	set.IntVar(&flags.requests, "requests", 30, "Number of requests")
	set.IntVar(&flags.downAfter, "down-after", 5, "The first model goes down after this many requests")
	set.IntVar(&flags.upAfter, "up-after", 14, "The first model comes back after this many requests")
	set.BoolVar(&flags.stream, "stream", false, "Ask for streams, and show the time to the first token")
	set.BoolVar(&flags.fast, "fast", false, "The same in two seconds: interval 50ms and cooldown 500ms")
	set.BoolVar(&flags.json, "json", false, "Print one JSON object a line")
	return cmd
}

// hurry shortens what the user has not set.
func (f *demoFlags) hurry(cmd *cobra.Command) {
	if !cmd.Flags().Changed("interval") {
		f.interval = 50 * time.Millisecond
	}
	if !cmd.Flags().Changed("cooldown") {
		f.cooldown = 500 * time.Millisecond
	}
}

func (f *demoFlags) validate() error {
	switch {
	case f.interval <= 0:
		return errors.New("--interval must be more than 0")
	case f.cooldown <= 0:
		return errors.New("--cooldown must be more than 0")
	case f.requests < 1:
		return errors.New("--requests must be 1 or more")
	case f.downAfter < 0:
		return errors.New("--down-after must not be negative")
	case f.upAfter <= f.downAfter:
		return errors.New("--up-after must be more than --down-after")
	}
	_, _, err := loopback(f.listen)
	return err
}

func (f *demoFlags) run(ctx context.Context, cmd *cobra.Command) (err error) {
	if err := f.validate(); err != nil {
		return err
	}
	primary, err := startModel(primaryModel)
	if err != nil {
		return err
	}
	defer primary.down()
	backup, err := startModel(backupModel)
	if err != nil {
		return err
	}
	defer backup.down()
	address, err := startRouter(f.listen, primary.address, backup.address, f.cooldown)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, caddy.Stop()) }()

	p, err := newProber(address, primaryModel)
	if err != nil {
		return err
	}
	defer p.client.CloseIdleConnections() // before Stop, which would wait for them
	p.stream, p.timeout = f.stream, time.Minute

	show := newPrinter(cmd.OutOrStdout(), f.json, f.stream)
	show.note("started", fmt.Sprintf("The router at http://%s serves %s from its primary, and from %s when that fails.",
		address, primaryModel, backupModel))
	act := outage{primary: primary, printer: show, downAfter: f.downAfter, upAfter: f.upAfter, cooldown: f.cooldown}
	w := &watcher{prober: p, printer: show, interval: f.interval, count: f.requests, before: act.before}
	if w.run(ctx).Failed() > 0 {
		return errRequestsFailed
	}
	return nil
}

// outage takes the primary down and up again, between two requests.
type outage struct {
	primary            *modelServer
	printer            printer
	downAfter, upAfter int
	cooldown           time.Duration
}

func (o *outage) before(n int) {
	switch done := n - 1; {
	case done < o.downAfter:
	case done < o.upAfter:
		if o.primary.running() {
			o.primary.down()
			o.printer.note("primary_down", "The primary goes down: "+o.primary.address+" refuses connections from now on.")
		}
	case !o.primary.running():
		if err := o.primary.up(); err != nil { // somebody has taken its port; tried again before the next request
			o.printer.note("primary_blocked", "The primary cannot come back yet: "+err.Error())
			return
		}
		o.printer.note("primary_up", "The primary is up again. The router tries it when its cooldown of "+
			o.cooldown.String()+" has ended.")
	}
}
