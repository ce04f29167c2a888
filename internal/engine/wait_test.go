package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

func parallel(n int64) func(*selection.Candidate) {
	return func(c *selection.Candidate) { c.MaxParallel = n }
}

// queued is a router of one pool m whose requests may wait.
func queued(t testing.TB, size int, timeout time.Duration, candidates ...*selection.Candidate) (*Router, *Pool) {
	m := newPool("m", candidates...)
	m.Policy.Queue = QueuePolicy{Size: size, Timeout: timeout}
	return newRouter(t, m), m
}

// crowd sends requests one after the other, a millisecond apart, of which each
// takes a second, and tells who was served, in that order, and how the others fared.
func crowd(t testing.TB, r *Router, requests ...*Request) (order []int, results []Result) {
	t.Helper()
	results = make([]Result, len(requests))
	const took = time.Second + 500*time.Microsecond // no timer of who waits ends then
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, req := range requests {
		req.Model = "m"
		wg.Go(func() {
			x := script(map[string][]step{"m/a": {takes(took)}, "m/b": {takes(took)}})
			x.before = func(*Attempt) {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			}
			results[i] = serve(t.Context(), r, req, x)
		})
		time.Sleep(time.Millisecond)
	}
	wg.Wait()
	return order, results
}

func TestRequestsWaitForAPlace(t *testing.T) {
	for _, test := range []struct {
		name     string
		size     int
		timeout  time.Duration
		requests []*Request
		want     []int
	}{
		{"in the order in which they came", 9, time.Minute, []*Request{{}, {}, {}, {}}, []int{0, 1, 2, 3}},
		{"the more important first", 9, time.Minute, []*Request{{}, {Priority: 2}, {Priority: 1}, {Priority: 1}}, []int{0, 2, 3, 1}},
		{"teams by turns", 9, time.Minute, []*Request{{}, {Team: "x"}, {Team: "x"}, {Team: "y"}}, []int{0, 1, 3, 2}},
		{"as many as may", 1, time.Minute, []*Request{{}, {}, {}}, []int{0, 1}},
		{"the least important makes way", 1, time.Minute, []*Request{{}, {Priority: 5}, {Priority: 1}}, []int{0, 2}},
		{"as long as they may", 9, 1500 * time.Millisecond, []*Request{{}, {}, {}, {}}, []int{0, 1}},
		{"nobody without a queue", 0, 0, []*Request{{}, {}}, []int{0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := deployment("a", parallel(1))
				r, m := queued(t, test.size, test.timeout, a)
				order, results := crowd(t, r, test.requests...)
				if !slices.Equal(order, test.want) {
					t.Errorf("got %v served, want %v", order, test.want)
				}
				for i, res := range results {
					served := slices.Contains(test.want, i)
					switch {
					case served && res.Class != retry.None:
						t.Errorf("request %d: got %v, want an answer", i, res.Class)
					case !served && (res.Class != retry.RateLimit || !res.Limited || !res.Unavailable):
						t.Errorf("request %d: got %+v, want turned away for want of capacity", i, res)
					case !served && test.size > 0 && res.Wait < time.Second:
						t.Errorf("request %d: got a wait of %v, want what is predicted", i, res.Wait)
					}
				}
				if a.InFlight() != 0 || m.Queue.Waiting() != 0 {
					t.Errorf("got %d in flight and %d waiting at the end, want none", a.InFlight(), m.Queue.Waiting())
				}
			})
		})
	}
}

// While somebody waits, nobody who comes later takes the place that is free.
func TestNewcomersDoNotOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := deployment("a", parallel(1))
		r, _ := queued(t, 100, time.Minute, a)
		requests := make([]*Request, 50)
		for i := range requests {
			requests[i] = new(Request)
		}
		order, _ := crowd(t, r, requests...)
		if !slices.IsSorted(order) || len(order) != 50 {
			t.Errorf("got %v served, want all as they came", order)
		}
	})
}

func TestWaitForWhatFreesByItself(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(*selection.Candidate)
		want time.Duration // until the answer; 0 is none
	}{
		{"a cooldown that ends soon", func(c *selection.Candidate) { c.Cooldown.Cool(time.Now(), retry.Auth, 3*time.Second) }, 3 * time.Second},
		{"a cooldown that does not", func(c *selection.Candidate) { c.Cooldown.Cool(time.Now(), retry.Auth, time.Hour) }, 0},
		{"a minute that is over soon", func(c *selection.Candidate) {
			c.Limiter = c.Minute.Limit(1, 0)
			c.Limiter.Reserve(time.Now().Add(-51*time.Second), 0)
		}, 10 * time.Second},
		{"a minute that is not", func(c *selection.Candidate) {
			c.Limiter = c.Minute.Limit(1, 0)
			c.Limiter.Reserve(time.Now(), 0)
		}, 0},
		{"a health check that has failed", down, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := deployment("a", test.set)
				r, m := queued(t, 9, 20*time.Second, a)
				m.Policy.HealthPanic = false
				start := time.Now()
				res := serve(t.Context(), r, &Request{Model: "m"}, script(nil))
				took := time.Since(start)
				switch {
				case test.want == 0 && (res.Class == retry.None || took != 0):
					t.Errorf("got %v after %v, want an error at once", res.Class, took)
				case test.want > 0 && (res.Class != retry.None || took < test.want || took > test.want+time.Second):
					t.Errorf("got %v after %v, want an answer after %v", res.Class, took, test.want)
				case test.want > 0 && (res.Waited != took || res.Upstream != 0):
					t.Errorf("got %v waited and %v upstream of %v", res.Waited, res.Upstream, took)
				}
			})
		})
	}
}

// A request that has waited for long has time left for its answer.
func TestWaitLeavesTimeForTheAnswer(t *testing.T) {
	const deadline = 40 * time.Second
	for _, test := range []struct {
		name string
		free time.Duration // when the place is
		want retry.Class
		took time.Duration
	}{
		{"enough", 29 * time.Second, retry.None, 38 * time.Second},
		{"too little", 31 * time.Second, retry.RateLimit, 30 * time.Second},
	} {
		for whose, set := range map[string]func(*Pool, *Request){
			"of the pool's deadline": func(p *Pool, _ *Request) { p.Policy.Deadline = deadline },
			"of the client's":        func(_ *Pool, r *Request) { r.Timeout = deadline },
		} {
			t.Run(test.name+" "+whose, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := deployment("a", parallel(1))
					r, m := queued(t, 9, time.Hour, a)
					go serve(t.Context(), r, &Request{Model: "m"}, script(map[string][]step{"m/a": {takes(test.free)}}))
					synctest.Wait()
					req := &Request{Model: "m"}
					set(m, req)
					start := time.Now()
					res := serve(t.Context(), r, req, script(map[string][]step{"m/a": {takes(9 * time.Second)}}))
					if took := time.Since(start); res.Class != test.want || took != test.took {
						t.Errorf("got %v after %v, want %v after %v", res.Class, took, test.want, test.took)
					}
				})
			})
		}
	}
}

// A fallback comes before the queue, and the queue is that of the pool that was
// asked for.
func TestFallbackComesBeforeTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := deployment("a", parallel(1)), deployment("b", parallel(1))
		m, f := newPool("m", a), newPool("f", b)
		m.Fallback = to(f)
		m.Policy.Queue = QueuePolicy{Size: 5, Timeout: time.Minute}
		r := newRouter(t, m, f)
		var wg sync.WaitGroup
		for _, want := range []string{"m/a", "f/b", "m/a"} {
			wg.Go(func() {
				x := script(map[string][]step{"m/a": {takes(time.Second)}, "f/b": {takes(time.Minute)}})
				serve(t.Context(), r, &Request{Model: "m"}, x)
				x.want(t, want)
			})
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
	})
}

// Who waits gets what becomes free first, here or where it would fall back to, and
// nobody who comes later gets it there.
func TestPlaceInAFallbackPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := deployment("a", parallel(1)), deployment("b", parallel(1))
		m, f := newPool("m", a), newPool("f", b)
		m.Fallback = to(f)
		m.Policy.Queue = QueuePolicy{Size: 5, Timeout: time.Minute}
		r := newRouter(t, m, f)
		var wg sync.WaitGroup
		for i, want := range []string{"m/a", "f/b", "f/b", "f/b"} {
			wg.Go(func() {
				x := script(map[string][]step{"m/a": {takes(time.Minute)}, "f/b": {takes(time.Second)}})
				res := serve(t.Context(), r, &Request{Model: "m"}, x)
				x.want(t, want)
				if fallbacks := min(i, 1); res.Fallbacks != fallbacks || res.Class != retry.None {
					t.Errorf("request %d: got %v and %d fallbacks, want an answer and %d", i, res.Class, res.Fallbacks, fallbacks)
				}
				if late := time.Duration(max(i-1, 0)) * time.Second; i > 1 && (res.Waited < late-10*time.Millisecond || res.Waited > late) {
					t.Errorf("request %d: got %v waited, want %v", i, res.Waited, late)
				}
			})
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		idle(t, m, f)
	})
}

// A request that has got its place goes on like any other: its pool's fallbacks are
// still ahead of it.
func TestFallbackAfterTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := deployment("a", parallel(1)), deployment("b", parallel(1))
		m, f := newPool("m", a), newPool("f", b)
		m.Fallback = to(f)
		m.Policy.Queue = QueuePolicy{Size: 5, Timeout: time.Minute}
		m.Policy.Retry.Retries = 0
		r := newRouter(t, m, f)
		for _, pool := range []string{"m", "f"} {
			busy := script(map[string][]step{"m/a": {takes(time.Second)}, "f/b": {takes(1500 * time.Millisecond)}})
			go serve(t.Context(), r, &Request{Model: pool}, busy)
		}
		synctest.Wait()
		x := script(map[string][]step{"m/a": {{Outcome: Outcome{Class: retry.ServerError}, takes: time.Second}}})
		res := serve(t.Context(), r, &Request{Model: "m"}, x)
		x.want(t, "m/a f/b")
		if res.Class != retry.None || res.Fallbacks != 1 {
			t.Errorf("got %v and %d fallbacks, want an answer and 1", res.Class, res.Fallbacks)
		}
	})
}

// A failure that is made up leads to the fallback, whoever waits for the pool.
func TestMockedFailureDoesNotQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := deployment("a", parallel(1)), deployment("b")
		m, f := newPool("m", a), newPool("f", b)
		m.Policy.Queue = QueuePolicy{Size: 5, Timeout: time.Minute}
		r := newRouter(t, m, f)
		for range 2 { // one is served and one waits
			go serve(t.Context(), r, &Request{Model: "m"}, script(map[string][]step{"m/a": {takes(time.Second)}}))
		}
		synctest.Wait()
		x := script(nil)
		req := &Request{Model: "m", Mock: retry.ServerError, Fallbacks: to(f), FallbacksSet: true}
		if res := serve(t.Context(), r, req, x); res.Class != retry.None {
			t.Errorf("got %v, want an answer of the fallback", res.Class)
		}
		x.want(t, "f/b")
	})
}

func TestClientThatLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := deployment("a", parallel(1))
		r, m := queued(t, 1, time.Minute, a)
		busy := script(map[string][]step{"m/a": {takes(10 * time.Second)}})
		go serve(t.Context(), r, &Request{Model: "m"}, busy)
		synctest.Wait()
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		if res := serve(ctx, r, &Request{Model: "m"}, script(nil)); res.Class != retry.Canceled || res.Attempts != 0 {
			t.Errorf("got %v after %d attempts, want canceled without any", res.Class, res.Attempts)
		}
		if n := m.Queue.Waiting(); n != 0 {
			t.Errorf("got %d waiting, want none", n)
		}
		if res := serve(t.Context(), r, &Request{Model: "m"}, script(nil)); res.Class != retry.None {
			t.Errorf("got %v, want an answer from the place that became free", res.Class)
		}
	})
}

// Random requests, of which some leave, on pools of random sizes: nothing is lost,
// nothing is left.
func TestQueueUnderRandomLoad(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 7))
				a, b := deployment("a", parallel(1+rnd.Int64N(3))), deployment("b", parallel(1+rnd.Int64N(2)))
				r, m := queued(t, 1+rnd.IntN(20), time.Duration(1+rnd.IntN(20))*time.Second, a, b)
				served, turnedAway, left := 0, 0, 0
				var mu sync.Mutex
				var wg sync.WaitGroup
				const n = 200
				for range n {
					stays := time.Duration(rnd.Int64N(int64(20 * time.Second)))
					req := &Request{Model: "m", Priority: rnd.IntN(3), Team: []string{"", "x"}[rnd.IntN(2)], PromptTokens: rnd.IntN(1000)}
					x := script(map[string][]step{
						"m/a": {takes(time.Duration(rnd.Int64N(int64(2 * time.Second))))},
						"m/b": {takes(time.Duration(rnd.Int64N(int64(2 * time.Second))))},
					})
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), stays)
						defer cancel()
						res := serve(ctx, r, req, x)
						mu.Lock()
						defer mu.Unlock()
						switch {
						case res.Class == retry.None:
							served++
						case res.Class == retry.Canceled && ctx.Err() != nil:
							left++
						case res.Class == retry.RateLimit && res.Limited:
							turnedAway++
						default:
							t.Errorf("got %+v, want an answer, turned away or gone", res)
						}
					})
					time.Sleep(time.Duration(rnd.Int64N(int64(400 * time.Millisecond))))
				}
				wg.Wait()
				if served+turnedAway+left != n || served == 0 {
					t.Errorf("got %d served, %d turned away and %d gone of %d", served, turnedAway, left, n)
				}
				if m.Queue.Waiting() != 0 {
					t.Errorf("got %d waiting at the end", m.Queue.Waiting())
				}
				idle(t, m)
			})
		})
	}
}

// refusing is an Arbiter whose limit is used up for as long as it lasts.
type refusing time.Duration

func (r refusing) Reserve(context.Context, int64, int64, int64) (bool, time.Duration, error) {
	return false, time.Duration(r), nil
}

// Who has waited and is refused by the other instances waits again, within the
// same time.
func TestWaitsTogetherAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := deployment("a", func(c *selection.Candidate) {
			c.Limiter = c.Minute.Limit(100, 0)
			c.Limiter.AskFirst(refusing(3 * time.Second))
		})
		r, m := queued(t, 9, 10*time.Second, a)
		res := serve(t.Context(), r, &Request{Model: "m"}, script(nil))
		if res.Class != retry.RateLimit || res.Waited < 6*time.Second || res.Waited > 10*time.Second {
			t.Errorf("got %v after %v, want it turned away after more than one wait of 3s and within 10s", res.Class, res.Waited)
		}
		if a.InFlight() != 0 || m.Queue.Waiting() != 0 {
			t.Errorf("got %d in flight and %d waiting at the end, want none", a.InFlight(), m.Queue.Waiting())
		}
	})
}
