package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	_ "github.com/llmrouter/caddy-llm-router"
	_ "github.com/llmrouter/caddy-llm-router/internal/cli"
)

// output is what a command has printed.
type output struct {
	out, err string
	failure  error
}

// run executes caddy llm-router as Caddy does, with the arguments given.
func run(ctx context.Context, t *testing.T, args ...string) output {
	t.Helper()
	registered, ok := caddycmd.Commands()["llm-router"]
	if !ok {
		t.Fatal("there is no command llm-router")
	}
	root := &cobra.Command{Use: "caddy", SilenceUsage: true}
	command := &cobra.Command{Use: registered.Name + " " + registered.Usage, Short: registered.Short, Long: registered.Long}
	registered.CobraFunc(command)
	root.AddCommand(command)
	var stdout, stderr bytes.Buffer
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	root.SetArgs(append([]string{"llm-router"}, args...))
	failure := root.ExecuteContext(ctx)
	return output{stdout.String(), stderr.String(), failure}
}

// line is any line that --json prints.
type line struct {
	Type       string
	Request    int
	OK         bool
	Status     int
	Model      string
	Pool       string
	Deployment string
	Attempts   int
	Fallbacks  int
	LatencyMS  float64 `json:"latency_ms"`
	FirstToken float64 `json:"first_token_ms"`
	Change     string
	Event      string
	Error      string

	Requests, Succeeded, Failed, Failovers, Recoveries, Shifts int
	Served                                                     []struct {
		Model, Pool, Deployment string
		Requests                int
	}
}

// lines reads what --json has printed.
func (o output) lines(t *testing.T) []line {
	t.Helper()
	var lines []line
	for text := range strings.Lines(o.out) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%q is not a line of JSON: %v", text, err)
		}
		lines = append(lines, l)
	}
	if len(lines) == 0 {
		t.Fatalf("got no lines; error %v, %s", o.failure, o.err)
	}
	return lines
}

func TestCommandListsItsSubcommands(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}} {
		got := run(t.Context(), t, args...)
		if got.failure != nil || !containsAll(got.out, "status", "watch", "demo") {
			t.Errorf("%v: got %v and:\n%s\nwant all subcommands", args, got.failure, got.out)
		}
	}
}

func containsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	t.Setenv("EMPTY_KEY", " ")
	tests := []struct {
		args, want string
	}{
		{"wacht localhost:1 m", `unknown command "wacht"`},
		{"watch", "accepts 2 arg(s)"},
		{"watch localhost:1", "accepts 2 arg(s)"},
		{"watch ftp://localhost m", "not a host with a port or an http or https URL"},
		{"watch localhost:1 m --interval 0", "--interval must be more than 0"},
		{"watch localhost:1 m --timeout -1s", "--timeout must be more than 0"},
		{"watch localhost:1 m --count -1", "--count must not be negative"},
		{"watch localhost:1 m --key-env EMPTY_KEY", "the environment variable that --key-env names is not set"},
		{"watch localhost:1 m --key secret", "unknown flag: --key"},
		{"status now", "unknown command"},
		{"status --config nowhere", "no such file"},
		{"demo now", "unknown command"},
		{"demo --requests 0", "--requests must be 1 or more"},
		{"demo --interval 0", "--interval must be more than 0"},
		{"demo --cooldown 0", "--cooldown must be more than 0"},
		{"demo --down-after -1", "--down-after must not be negative"},
		{"demo --down-after 5 --up-after 5", "--up-after must be more than --down-after"},
		{"demo --listen 8080", "not a host and a port"},
		{"demo --listen 0.0.0.0:0", "not an address of the loopback interface"},
		{"demo --listen example.com:80", "not an address of the loopback interface"},
		{"demo --listen 127.0.0.1:http", "not a port"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // in case it is not refused
			defer cancel()
			got := run(ctx, t, strings.Fields(tt.args)...)
			if got.failure == nil || !strings.Contains(got.failure.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", got.failure, tt.want)
			}
			if !strings.Contains(got.err, tt.want) || got.out != "" {
				t.Errorf("got on stdout %q and on stderr %q, want the error on stderr", got.out, got.err)
			}
		})
	}
}

// A wrong name may be the key itself.
func TestKeyGivenForItsNameIsNotPrinted(t *testing.T) {
	got := run(t.Context(), t, "watch", "localhost:1", "m", "--key-env", "sk-secret")
	if got.failure == nil || strings.Contains(got.out+got.err+got.failure.Error(), "sk-secret") {
		t.Errorf("got %v, %s %s; want an error without the key", got.failure, got.out, got.err)
	}
}
