package wholepath

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

// observed is a config with a router of these pools, and a page of metrics.
func observed(pools string) string { return configOf(pools) + ":8081 {\n\tmetrics\n}\n" }

// page is what the page of metrics says of the router, by the names without their
// prefix and with their labels.
type page map[string]float64

// scrape reads the page. Just after a reload the server of the config before may
// still take a connection, only to close it: that is Caddy's, and asked again.
func scrape(t testing.TB, s *caddyharness.Server) page {
	t.Helper()
	var text []byte
	eventually(t, "a page of metrics", 5*time.Second, func() bool {
		resp, err := s.Client().Get(s.URL(":8081/metrics"))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err = io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == http.StatusOK
	})
	all := make(page)
	for line := range strings.Lines(string(text)) {
		name, ours := strings.CutPrefix(strings.TrimSpace(line), "caddy_llm_router_")
		i := strings.LastIndexByte(name, ' ')
		if !ours || i < 0 {
			continue
		}
		value, err := strconv.ParseFloat(name[i+1:], 64)
		if err != nil {
			t.Fatalf("got the line %s, want a number at its end", line)
		}
		all[name[:i]] = value
	}
	return all
}

// counted is what has been counted at all: counters, and how many samples each
// histogram has.
func (p page) counted() page {
	all := maps.Clone(p)
	maps.DeleteFunc(all, func(name string, n float64) bool {
		family, _, _ := strings.Cut(name, "{")
		return n == 0 || !strings.HasSuffix(family, "_total") && !strings.HasSuffix(family, "_count")
	})
	return all
}

// sum adds up all series of a family.
func (p page) sum(family string) (total float64) {
	for name, n := range p {
		if strings.HasPrefix(name, family+"{") {
			total += n
		}
	}
	return total
}

// names are those of all series, the buckets of histograms not among them.
func (p page) names() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p)), func(name string) bool { return strings.Contains(name, "_bucket{") })
}

// counts waits until what has been counted is this: an answer is counted just
// after its client has it.
func (want page) counts(t testing.TB, s *caddyharness.Server) {
	t.Helper()
	var got page
	for range 100 {
		if got = scrape(t, s).counted(); maps.Equal(got, want) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want[name] != got[name] {
			t.Errorf("%s: got %v, want %v", name, got[name], want[name])
		}
	}
	for name, n := range want {
		if got[name] == 0 {
			t.Errorf("%s: got 0, want %v", name, n)
		}
	}
}

// ended is what every request that ended at a deployment of a pool adds.
func ended(pool, deployment, outcome string, more page) page {
	labels := fmt.Sprintf(`deployment="%s",pool="%s"`, deployment, pool)
	all := page{
		fmt.Sprintf(`requests_total{deployment="%s",outcome="%s",pool="%s"}`, deployment, outcome, pool): 1,
		`request_duration_seconds_count{` + labels + `}`:                                                 1,
		`overhead_seconds_count{pool="` + pool + `"}`:                                                    1,
	}
	maps.Copy(all, more)
	return all
}

func attempts(pool, deployment, class string) string {
	return fmt.Sprintf(`attempts_total{class="%s",deployment="%s",pool="%s"}`, class, deployment, pool)
}

func tokens(pool, deployment, direction string) string {
	return fmt.Sprintf(`tokens_total{deployment="%s",direction="%s",pool="%s"}`, deployment, direction, pool)
}
