package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/llmrouter/caddy-llm-router/internal/adminapi"
	"github.com/llmrouter/caddy-llm-router/internal/status"
)

// maxStatus is the largest status that is read, in bytes: some ten thousand
// deployments.
const maxStatus = 16 << 20

// statusFlags are what the user gives to status.
type statusFlags struct {
	address, config, adapter string
	json                     bool
}

func newStatusCommand() *cobra.Command {
	var flags statusFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Shows how the deployments of a running router are doing",
		Long: `
Asks the admin API of a running Caddy for its pools, and prints one line for each
deployment: its order and weight, whether it takes requests and if not, why and
for how long, the requests that it is carrying, has had and has failed, the
average time to its first token, and how much of its requests and tokens per
minute is used.`,
		Example: `  caddy llm-router status
  caddy llm-router status --address unix//run/caddy/admin.sock --json`,
		Args: cobra.NoArgs,
		// Not quietly: an interrupt may end it at any moment.
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.run(cmd.OutOrStdout()) },
	}
	set := cmd.Flags()
	set.StringVar(&flags.address, "address", "", "The address to use to reach the admin API endpoint, if not the default")
	set.StringVarP(&flags.config, "config", "c", "", "Configuration file to use to parse the admin address, if --address is not used")
	set.StringVarP(&flags.adapter, "adapter", "a", "", "Name of config adapter to apply (when --config is used)")
	set.BoolVar(&flags.json, "json", false, "Print the answer of the admin API, as JSON")
	return cmd
}

func (f *statusFlags) run(out io.Writer) error {
	address, err := caddycmd.DetermineAdminAPIAddress(f.address, nil, f.config, f.adapter)
	if err != nil {
		return err
	}
	raw, err := fetchStatus(address)
	if err != nil {
		return err
	}
	var s status.Status
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("the answer is not a status: %w", err)
	}
	if f.json {
		_, err := out.Write(append(bytes.TrimSpace(raw), '\n'))
		return err
	}
	newStatusTable(&s).print(out, wantsColor(out, os.Getenv("NO_COLOR")))
	return nil
}

// fetchStatus asks the admin API at an address in Caddy's notation.
func fetchStatus(address string) ([]byte, error) {
	resp, err := caddycmd.AdminAPIRequest(address, http.MethodGet, adminapi.StatusPath, nil, nil)
	if err != nil {
		return nil, errors.New(printable(err.Error(), maxMessage)) // with what the server said
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxStatus {
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxStatus)
	}
	return raw, nil
}
