package upstreams

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func (h *Hedge) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == "off":
		h.Off = true
		return nil
	case len(args) != 1 && len(args) != 2:
		return d.Errf("hedge: expected <duration>|p<NN> [<max>] or off, got %d arguments", len(args))
	}
	if percentile, ok := strings.CutPrefix(args[0], "p"); ok {
		n, err := strconv.Atoi(percentile)
		if err != nil || n < leastPercentile || n > mostPercentile {
			return d.Errf("hedge: expected a percentile from p%d to p%d, got '%s'", leastPercentile, mostPercentile, args[0])
		}
		h.Percentile = n
	} else if err := parseDuration(d, "hedge", args[0], &h.After); err != nil {
		return err
	}
	if len(args) == 2 {
		n, err := strconv.Atoi(args[1])
		if err != nil || n <= 0 {
			return d.Errf("hedge: expected a number of hedges above zero, got '%s'", args[1])
		}
		h.Max = n
	}
	return nil
}
