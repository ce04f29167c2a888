// Package cli is the command caddy llm-router: what an operator asks a router
// from a terminal, and a demonstration that needs nothing but the binary.
package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "llm-router",
		Usage: "<command>",
		Short: "Shows, watches or demonstrates an LLM router",
		Long: `
Asks a running llm_router from the terminal how its deployments are doing or
which of them serves, or shows on one that it starts itself how a failing model
is replaced.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(newStatusCommand(), newWatchCommand(), newDemoCommand())
			// Without a function of its own it would take a mistyped subcommand
			// for a wish for help, and succeed.
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		},
	})
}

// errRequestsFailed makes the exit code 1. The summary has said it in words
// already.
var errRequestsFailed = errors.New("requests failed")

// quietly runs a subcommand until it ends or is interrupted, and keeps cobra
// from printing the one error that has been shown.
func quietly(run func(ctx context.Context, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		// The second interrupt ends the process in the usual way, in case the
		// first one is not enough.
		context.AfterFunc(ctx, stop)
		err := run(ctx, cmd, args)
		cmd.SilenceErrors = errors.Is(err, errRequestsFailed)
		return err
	}
}
