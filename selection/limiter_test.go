package selection

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestNewLimiterWithoutLimits(t *testing.T) {
	for _, l := range [][2]int64{{0, 0}, {-1, 0}, {0, -5}} {
		if NewLimiter(l[0], l[1]) != nil {
			t.Errorf("rpm %d, tpm %d: a limiter, want nil", l[0], l[1])
		}
	}
}

func TestLimiter(t *testing.T) {
	type op struct {
		at     time.Duration
		tokens int
		want   bool
	}
	const s = time.Second
	tests := []struct {
		name     string
		rpm, tpm int64
		ops      []op
	}{
		{"requests", 2, 0, []op{{0, 1e6, true}, {0, 0, true}, {0, 0, false}, {59 * s, 0, false}, {61 * s, 0, true}, {61 * s, 0, true}, {61 * s, 0, false}}},
		{"slides, and does not start over", 2, 0, []op{{0, 0, true}, {40 * s, 0, true}, {61 * s, 0, true}, {62 * s, 0, false}, {100 * s, 0, false}, {101 * s, 0, true}}},
		{"tokens", 0, 10, []op{{0, 6, true}, {0, 5, false}, {0, 4, true}, {0, 1, false}, {0, 0, true}, {61 * s, 10, true}}},
		{"a refusal takes nothing", 0, 10, []op{{0, 5, true}, {0, 6, false}, {0, 6, false}, {0, 5, true}}},
		{"both", 3, 10, []op{{0, 9, true}, {0, 2, false}, {0, 1, true}, {0, 0, true}, {0, 0, false}}},
		{"larger than the limit in an empty minute", 0, 10, []op{{0, 50, true}, {30 * s, 1, false}, {61 * s, 50, true}}},
		{"larger than the limit beside others", 0, 10, []op{{0, 1, true}, {0, 50, false}}},
		{"a long silence", 1, 0, []op{{0, 0, true}, {24 * time.Hour, 0, true}, {24 * time.Hour, 0, false}}},
		{"a clock that goes back", 1, 0, []op{{0, 0, true}, {-30 * s, 0, false}, {61 * s, 0, true}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := NewLimiter(test.rpm, test.tpm)
			for i, o := range test.ops {
				now := noon.Add(o.at)
				if got := l.Fits(now, o.tokens); got != o.want {
					t.Errorf("%d: %d tokens at %v fit: %v, want %v", i, o.tokens, o.at, got, o.want)
				}
				if _, got := l.Reserve(now, o.tokens); got != o.want {
					t.Errorf("%d: %d tokens at %v: %v, want %v", i, o.tokens, o.at, got, o.want)
				}
			}
		})
	}
}

// Under any load no sixty seconds, wherever they begin, hold more than the
// limits, but for a single request that is larger than a whole minute; Wait is
// the time after which a request fits, and not much longer.
func TestLimiterNeverOversteps(t *testing.T) {
	type use struct {
		at     time.Time
		tokens int64
	}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			rpm, tpm := int64(rnd.IntN(20)), int64(rnd.IntN(500))
			if rpm+tpm == 0 {
				rpm = 1
			}
			l := NewLimiter(rpm, tpm)
			pace := time.Duration(1+rnd.IntN(20)) * 500 * time.Millisecond
			now, used, allowed := noon, []use{}, 0
			for range 3000 {
				now = now.Add(time.Duration(rnd.Int64N(int64(pace))))
				tokens := rnd.IntN(120)
				wait := l.Wait(now, tokens)
				fits := l.Fits(now, tokens)
				if fits != (wait == 0) || wait < 0 || wait > 61*time.Second {
					t.Fatalf("fits %v, wait %v", fits, wait)
				}
				if _, got := l.Reserve(now, tokens); got != fits {
					t.Fatalf("reserved %v, want %v as it fits", got, fits)
				}
				if !fits {
					if rnd.IntN(50) == 0 { // do as the limiter says
						if wait > time.Second && l.Fits(now.Add(wait-time.Second-1), tokens) {
							t.Fatalf("fits more than a second before the wait of %v is over", wait)
						}
						now = now.Add(wait)
						if l.Wait(now, tokens) != 0 {
							t.Fatalf("does not fit after the wait of %v", wait)
						}
					}
					continue
				}
				allowed++
				used = append(used, use{now, int64(tokens)})
				for len(used) > 0 && now.Sub(used[0].at) >= time.Minute {
					used = used[1:]
				}
				sum, positive := int64(0), 0
				for _, u := range used {
					if sum += u.tokens; u.tokens > 0 {
						positive++
					}
				}
				if rpm > 0 && int64(len(used)) > rpm {
					t.Fatalf("%d requests in the minute before %v, limit %d", len(used), now, rpm)
				}
				if tpm > 0 && sum > tpm && positive > 1 {
					t.Fatalf("%d tokens in the minute before %v, limit %d", sum, now, tpm)
				}
			}
			if allowed < 20 {
				t.Fatalf("only %d requests were let through: too few to say anything", allowed)
			}
		})
	}
}

func TestLimiterWait(t *testing.T) {
	l := NewLimiter(2, 10)
	at := noon.Add(300 * time.Millisecond)
	l.Reserve(at, 4)
	l.Reserve(at.Add(20*time.Second), 5)
	now := at.Add(30 * time.Second)
	for _, test := range []struct {
		tokens int
		want   time.Duration
	}{
		{0, 61*time.Second - 30300*time.Millisecond},  // one request has to go
		{5, 61*time.Second - 30300*time.Millisecond},  // and with it 4 tokens
		{6, 81*time.Second - 30300*time.Millisecond},  // both have to go
		{99, 81*time.Second - 30300*time.Millisecond}, // more than the limit: an empty minute
	} {
		if got := l.Wait(now, test.tokens); got != test.want {
			t.Errorf("%d tokens wait %v, want %v", test.tokens, got, test.want)
		}
	}
	if got := l.Wait(noon.Add(time.Hour), 10); got != 0 {
		t.Errorf("wait in an empty minute %v, want 0", got)
	}
}

func TestLimiterReserveIsExactUnderConcurrency(t *testing.T) {
	for name, l := range map[string]*Limiter{"requests": NewLimiter(1000, 0), "tokens": NewLimiter(0, 7000)} {
		t.Run(name, func(t *testing.T) {
			var taken atomic.Int64
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for i := range 500 {
						if _, ok := l.Reserve(noon.Add(time.Duration(i%30)*time.Second), 7); ok {
							taken.Add(1)
						}
						l.Fits(noon, 7)
						l.Wait(noon, 7)
					}
				})
			}
			wg.Wait()
			if n := taken.Load(); n != 1000 {
				t.Errorf("%d of 4000 let through, want exactly 1000", n)
			}
		})
	}
}
