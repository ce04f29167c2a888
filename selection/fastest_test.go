package selection

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func fastest() *Fastest {
	return &Fastest{Buffer: 0.1, Explore: 0.05, Decay: 30 * time.Second, Random: rand.New(rand.NewPCG(1, 2)).Float64}
}

// A server turns slow: of a hundred requests that would be its share it gets less
// than twenty, and where these are a good part of all, next to none after twenty of
// all. It recovers, and is back.
func TestLatencyLeavesASlowServerAndComesBack(t *testing.T) {
	for _, test := range []struct {
		n     int
		whole bool
	}{{2, false}, {4, false}, {8, false}, {12, false}, {30, false}, {4, true}, {12, true}} {
		n := test.n
		t.Run(fmt.Sprintf("%d servers, whole answers %v", n, test.whole), func(t *testing.T) {
			servers := alike(n, test.whole)
			s := newSimulation(fastest(), servers...)
			perSecond := float64(10 * n)
			request := func() *job { return &job{prompt: 500, output: 20} }

			s.pour(20*n, perSecond, request)
			s.run()
			if got, want := share(s.to[10*n:], "0"), 1/float64(n); got < want/3 {
				t.Errorf("got %.3f of the requests at first, want about %.3f", got, want)
			}

			servers[0].start = 5 * time.Second
			s.to = nil
			s.pour(100*n, perSecond, request)
			s.run()
			if got := share(s.to, "0") * float64(len(s.to)); got > 20 {
				t.Errorf("the server is slow: got %v of %d requests there, want at most 20", got, len(s.to))
			}
			if got := share(s.to[20:], "0"); n <= comparedAll && got > 0.03 {
				t.Errorf("the server is slow: got %.3f of the requests after 20, want next to none", got)
			}

			servers[0].start = 100 * time.Millisecond
			s.pour(int(60*perSecond), perSecond, request) // a minute
			s.run()
			s.to = nil
			s.pour(200*n, perSecond, request)
			s.run()
			if got, want := share(s.to, "0"), 1/float64(n); got < want/2 {
				t.Errorf("the server is well: got %.3f of the requests, want about %.3f", got, want)
			}
			s.checkIdle(t)
		})
	}
}

func TestLatencyPrefersTheFaster(t *testing.T) {
	servers := alike(4, false)
	servers[0].start = 20 * time.Millisecond
	s := newSimulation(fastest(), servers...)
	s.pour(4000, 20, func() *job { return &job{prompt: 500, output: 1} })
	s.run()
	if got := share(s.to[100:], "0"); got < 0.7 {
		t.Errorf("got %.3f of the requests for the fastest, want most", got)
	}
}

// A server that refuses at once has the shortest answers of all.
func TestLatencyDoesNotTakeFailuresForFast(t *testing.T) {
	for _, test := range []struct {
		n     int
		whole bool
	}{{3, false}, {20, false}, {3, true}, {20, true}} {
		n := test.n
		servers := alike(n, test.whole)
		servers[0].fails = true
		s := newSimulation(fastest(), servers...)
		s.pour(5000, float64(10*n), func() *job { return &job{prompt: 500, output: 20} })
		s.run()
		if got := share(s.to, "0"); got > 0.1/float64(n)+0.01 {
			t.Errorf("%d servers, whole answers %v: got %.3f of the requests for the one that fails, want next to none", n, test.whole, got)
		}
		s.checkIdle(t)
	}
}

// A server that reads slowly is none for long prompts, and as good as others for
// short ones.
func TestLatencyByPromptSize(t *testing.T) {
	servers := alike(2, false)
	servers[0].perPrompt, servers[1].perPrompt = time.Millisecond, 100*time.Microsecond
	servers[0].start = 20 * time.Millisecond
	s := newSimulation(fastest(), servers...)
	long := make(map[int]bool)
	s.pour(2000, 2, func() *job {
		j := &job{prompt: 10, output: 1}
		if s.random.IntN(2) == 0 {
			long[len(s.to)] = true
			j.prompt = 20_000
		}
		return j
	})
	s.run()
	var short, longs []string
	for i, id := range s.to[200:] {
		if long[i+200] {
			longs = append(longs, id)
		} else {
			short = append(short, id)
		}
	}
	if got := share(longs, "1"); got < 0.85 {
		t.Errorf("got %.3f of the long prompts for the one that reads fast, want nearly all", got)
	}
	if got := share(short, "0"); got < 0.6 {
		t.Errorf("got %.3f of the short prompts for the one that begins fast, want most", got)
	}
}

func TestFastestPicks(t *testing.T) {
	seen := func(first time.Duration, ago time.Duration) func(*Candidate) {
		return func(c *Candidate) { c.Latency.Served(noon.Add(-ago), Answer{FirstToken: first}) }
	}
	tokens := func(first, perToken time.Duration) func(*Candidate) {
		return func(c *Candidate) {
			c.Latency.Served(noon, Answer{FirstToken: first, Took: first + 10*perToken, Output: 11})
		}
	}
	waiting := func(n int) func(*Candidate) {
		return func(c *Candidate) {
			for range n {
				c.Carry(0, 0)
			}
		}
	}
	for _, test := range []struct {
		name string
		q    Query
		f    Fastest
		all  []*Candidate
		want string // of any of these
	}{
		{"the fastest", Query{Stream: true}, Fastest{}, []*Candidate{candidate("a", seen(2, 0)), candidate("b", seen(1, 0))}, "b"},
		{"by how many wait", Query{}, Fastest{}, []*Candidate{candidate("a", seen(time.Second, 0), waiting(3)), candidate("b", seen(3*time.Second, 0))}, "b"},
		{"within the buffer", Query{}, Fastest{Buffer: 0.2}, []*Candidate{candidate("a", seen(100*time.Millisecond, 0)), candidate("b", seen(119*time.Millisecond, 0)), candidate("c", seen(130*time.Millisecond, 0))}, "ab"},
		{"the unmeasured first", Query{}, Fastest{}, []*Candidate{candidate("a", seen(1, 0)), candidate("b")}, "b"},
		{"the unmeasured once at a time", Query{}, Fastest{}, []*Candidate{candidate("a", seen(time.Second, 0)), candidate("b", waiting(1))}, "a"},
		{"a stream by its beginning", Query{Stream: true}, Fastest{}, []*Candidate{candidate("a", tokens(time.Second, 50*time.Millisecond)), candidate("b", tokens(5*time.Second, 10*time.Millisecond))}, "a"},
		{"an answer by the whole", Query{}, Fastest{}, []*Candidate{candidate("a", tokens(time.Second, 50*time.Millisecond)), candidate("b", tokens(5*time.Second, 10*time.Millisecond))}, "b"},
		{"a short answer by the whole", Query{MaxOutput: 10}, Fastest{}, []*Candidate{candidate("a", tokens(time.Second, 50*time.Millisecond)), candidate("b", tokens(5*time.Second, 10*time.Millisecond))}, "a"},
		{
			"old measurements are average", Query{}, Fastest{Decay: 30 * time.Second, Buffer: 0.01},
			[]*Candidate{candidate("a", seen(2*time.Second, 0)), candidate("b", seen(9*time.Second, time.Hour)), candidate("c", seen(2*time.Second, 0))}, "abc",
		},
		{"what is old is explored", Query{}, Fastest{Explore: 1, Decay: time.Hour}, []*Candidate{candidate("a", seen(time.Second, 0)), candidate("b", seen(9*time.Second, 11*time.Second))}, "b"},
		{"what is new is not", Query{}, Fastest{Explore: 1, Decay: time.Hour}, []*Candidate{candidate("a", seen(time.Second, 0)), candidate("b", seen(9*time.Second, 9*time.Second))}, "a"},
		{"nor where somebody waits", Query{}, Fastest{Explore: 1, Decay: time.Hour}, []*Candidate{candidate("a", seen(time.Second, 0)), candidate("b", seen(9*time.Second, 11*time.Second), waiting(1))}, "a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.q.Now = noon
			got := make(map[string]bool)
			for range 200 {
				got[test.f.Pick(&test.q, test.all).ID] = true
			}
			for _, id := range test.want {
				if !got[string(id)] {
					t.Errorf("got %v, want %c among them", got, id)
				}
			}
			if len(got) != len(test.want) {
				t.Errorf("got %v, want only %s", got, test.want)
			}
		})
	}
}
