package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// A cooldown is to be honoured by the others within a tenth of a second. How
// long it takes is logged; what fails is a cooldown that is not, or one that only
// the look at the keys every few seconds has brought.
func TestCooldownsSpread(t *testing.T) {
	server, first, second := redistest.Start(t), scripted.New(t), scripted.New(t)
	const rounds = 12
	var pools strings.Builder
	for n := range rounds {
		pools.WriteString(twoInOrder(fmt.Sprint("p", n), first, second, ""))
	}
	f := start(t, "redis "+server.URL(), pools.String())
	f.connected(t, server)
	var took []time.Duration
	for n := range rounds {
		took = append(took, f.spreads(t, n%len(f), fmt.Sprint("p", n), first))
	}
	slices.Sort(took)
	t.Logf("honoured by the others after %v in the median, %v at most", took[rounds/2], took[rounds-1])
	if median := took[rounds/2]; median > 2*time.Second {
		t.Errorf("got cooldowns that the others know of after %v, want it at once", median)
	}
	f.saidNoMore(t, 0, 0)
}
