package selection

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestLeastUsedPicks(t *testing.T) {
	used := func(rpm, tpm int64, requests, tokens int) func(*Candidate) {
		return func(c *Candidate) {
			c.Limiter = NewLimiter(rpm, tpm)
			for range requests {
				c.Limiter.Reserve(noon, tokens/requests)
			}
		}
	}
	for _, test := range []struct {
		name string
		all  []*Candidate
		want string
	}{
		{"requests for the limit", []*Candidate{candidate("a", used(10, 0, 2, 0)), candidate("b", used(100, 0, 15, 0))}, "b"},
		{"tokens for the limit", []*Candidate{candidate("a", used(0, 1000, 1, 300)), candidate("b", used(0, 10_000, 1, 2000))}, "b"},
		{"what is nearer to its end", []*Candidate{candidate("a", used(100, 1000, 1, 900)), candidate("b", used(100, 1000, 50, 100))}, "b"},
		{"the request itself", []*Candidate{candidate("a", used(2, 0, 0, 0)), candidate("b", used(100, 0, 10, 0))}, "b"},
		{"no limit comes last", []*Candidate{candidate("a"), candidate("b", used(100, 0, 99, 0))}, "b"},
		{"a standby comes after that", []*Candidate{candidate("a", weight(0), used(100, 0, 0, 0)), candidate("b", weight(1), used(100, 0, 99, 0))}, "b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := &Query{Now: noon, Tokens: 10}
			for range 20 {
				if got := (&LeastUsed{}).Pick(q, q.Filter(nil, test.all)).ID; got != test.want {
					t.Fatalf("got %s, want %s", got, test.want)
				}
			}
		})
	}
}

// provider is what a provider counts of its own: it refuses what is beyond its
// limits in any minute.
type provider struct {
	rpm, tpm int
	sent     []sent
}

type sent struct {
	at     time.Time
	tokens int
}

func (p *provider) refuses(now time.Time, tokens int) bool {
	requests := 1
	sum := tokens
	kept := p.sent[:0]
	for _, s := range p.sent {
		if now.Sub(s.at) < time.Minute {
			kept = append(kept, s)
			requests++
			sum += s.tokens
		}
	}
	p.sent = kept
	if p.rpm > 0 && requests > p.rpm || p.tpm > 0 && sum > p.tpm {
		return true
	}
	p.sent = append(p.sent, sent{now, tokens})
	return false
}

// Of unequal limits all is used, and no provider ever refuses: neither below the
// sum of the limits nor above it, where the router has nobody left.
func TestUsageSimulation(t *testing.T) {
	limits := []struct{ rpm, tpm int }{{60, 0}, {300, 0}, {600, 40_000}, {0, 120_000}}
	const tokens = 400 // of each request: 60 + 300 + 100 + 300 a minute
	const sum = 760
	for _, load := range []float64{0.5, 0.9, 1.5} {
		t.Run(fmt.Sprintf("%v of the limits", load), func(t *testing.T) {
			var all []*Candidate
			providers := make(map[*Candidate]*provider)
			for i, l := range limits {
				c := candidate(fmt.Sprint(i), limit(int64(l.rpm), int64(l.tpm)))
				all = append(all, c)
				providers[c] = &provider{rpm: l.rpm, tpm: l.tpm}
			}
			random := rand.New(rand.NewPCG(1, 2))
			strategy := &LeastUsed{Random: random.Float64}
			now, served, nobody, most := noon, 0, 0, 0.0
			for now.Before(noon.Add(5 * time.Minute)) {
				now = now.Add(time.Duration(random.ExpFloat64() / (load * sum) * float64(time.Minute)))
				q := &Query{Now: now, Tokens: tokens}
				usable := q.Filter(nil, all)
				if len(usable) == 0 {
					nobody++
					continue
				}
				c := strategy.Pick(q, usable)
				most = max(most, c.Limiter.Use(tokens))
				if _, ok := c.Limiter.Reserve(now, tokens); !ok {
					t.Fatal("picked one that is used up")
				}
				if providers[c].refuses(now, tokens) {
					t.Fatalf("provider %s refuses a request after %v", c.ID, now.Sub(noon))
				}
				served++
			}
			switch {
			case load < 1 && nobody > 0:
				t.Errorf("got %d requests that nobody had room for, want none", nobody)
			case load > 1 && float64(served) < 0.97*5*sum*60/61: // a minute is one of 61 seconds, to be on the safe side
				t.Errorf("got %d requests served, want nearly all of %d", served, 5*sum)
			case load == 0.5 && math.Abs(most-load) > 0.2:
				t.Errorf("got a limit that was used to %.2f, want all about %.2f", most, load)
			}
		})
	}
}
