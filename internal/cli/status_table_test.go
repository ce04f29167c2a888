package cli

import (
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/status"
)

var busyStatus = status.Status{
	Pools: []status.Pool{
		{Name: "gpt-4o", Aliases: []string{"chatgpt"}, Strategy: "weighted", QueueDepth: 2, Deployments: []status.Deployment{
			{
				ID: "eastus", Order: 1, Weight: 80, State: status.Healthy, InFlight: 3, MaxParallel: 10, Requests: 12034, Failures: 12,
				TTFTMS: 231.7, RPM: &status.Limit{Used: 80, Limit: 100}, TPM: &status.Limit{Used: 12499.6, Limit: 450_000},
			},
			{
				ID: "openai", Order: 1, Weight: 0.5, State: status.Cooling, Reason: "rate_limit", CooldownRemainingMS: 4230,
				Requests: 2_512_345, Failures: 400, TTFTMS: 1410,
			},
			{ID: "standby", Order: 2, Weight: 1, State: status.Limited, Reason: "tpm", TPM: &status.Limit{Used: 90_000, Limit: 90_000}},
		}},
		{Name: "llama3", Strategy: "least_busy", Deployments: []status.Deployment{
			{ID: "gpu-1", Order: 1, State: status.Unhealthy},
		}},
		{Name: "none", Strategy: "weighted"},
	},
	Redis: &status.Redis{Up: true},
}

const busyTable = `
DEPLOYMENT  ORDER  WEIGHT  STATE                       IN FLIGHT  REQUESTS  FAILED   TTFT     RPM          TPM
gpt-4o, chatgpt (weighted), 2 requests waiting
  eastus        1      80  healthy                          3/10     12034      12  232ms  80/100   12500/450k
  openai        1     0.5  cooling 4.23s (rate_limit)          0      2.5M     400  1.41s       -            -
  standby       2       1  limited (tpm)                       0         0       0      -       -  90000/90000
llama3 (least_busy)
  gpu-1         1       0  unhealthy                           0         0       0      -       -            -
none (weighted)
Redis: up
`

func table(s *status.Status, color bool) string {
	var out strings.Builder
	newStatusTable(s).print(&out, color)
	return out.String()
}

func TestStatusTable(t *testing.T) {
	got := "\n" + table(&busyStatus, false)
	if got != busyTable {
		t.Errorf("got %s\nwant %s", got, busyTable)
	}
	for line := range strings.Lines(got) {
		if n := len(line) - 1; n > 120 {
			t.Errorf("got %d characters, want at most 120: %s", n, line)
		}
	}
}

// Colors only repeat what the words say, and do not move the columns.
func TestStatusTableInColor(t *testing.T) {
	got := table(&busyStatus, true)
	for _, want := range []string{
		bold + "llama3 (least_busy)" + plain,
		"  " + green + "healthy" + plain + "  ", "  " + red + "cooling 4.23s (rate_limit)" + plain + "  ",
		"  " + yellow + "limited (tpm)" + plain + "  ", "  " + red + "unhealthy" + plain + "  ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	without := strings.NewReplacer(bold, "", green, "", red, "", yellow, "", plain, "").Replace(got)
	if "\n"+without != busyTable {
		t.Errorf("got without colors %s\nwant %s", without, busyTable)
	}
}

func TestStatusOfLittle(t *testing.T) {
	tests := []struct {
		name string
		in   status.Status
		want string
	}{
		{"no router", status.Status{}, "The running config has no llm_router.\n"},
		{
			"Redis away", status.Status{Pools: []status.Pool{{Name: "p", Strategy: "weighted"}}, Redis: &status.Redis{}},
			"p (weighted)\nRedis: down; limits and cooldowns are those that this instance knows of\n",
		},
		{
			"foreign text", status.Status{Pools: []status.Pool{{
				Name: "p\x1b[2J\n", Strategy: "s", Deployments: []status.Deployment{{ID: "d\r\x07", State: "new\x1b", Reason: "\u202e"}},
			}}},
			"p[2J (s)\n  d             0       0  new            0         0       0     -\n",
		},
		{
			"long names", status.Status{Pools: []status.Pool{{
				Name: strings.Repeat("p", 99), Deployments: []status.Deployment{{ID: strings.Repeat("d", 99)}},
			}}},
			strings.Repeat("p", 29) + "... ()\n  " + strings.Repeat("d", 29) + "...      0       0                 0         0       0     -\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := table(&tt.in, false)
			if head, rest, ok := strings.Cut(got, "\n"); ok && strings.HasPrefix(head, "DEPLOYMENT") {
				got = rest
			}
			if got != tt.want {
				t.Errorf("got\n%q\nwant\n%q", got, tt.want)
			}
		})
	}
}
