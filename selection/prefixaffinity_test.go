package selection

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

const (
	systemTokens = 512  // the same for all
	turnTokens   = 1024 // that a question and its answer add
	blockTokens  = 64
)

// conversation is a chat whose prompts each begin with the one before.
type conversation struct {
	id     uint64
	turn   int
	blocks reading
}

// prompt is the next one.
func (c *conversation) prompt() *job {
	c.turn++
	tokens := systemTokens + c.turn*turnTokens
	for n := len(c.blocks); n < tokens/blockTokens; n++ {
		owner := c.id
		if n < systemTokens/blockTokens {
			owner = 0
		}
		c.blocks = append(c.blocks, Prefix{Hash: (owner + uint64(n)) * 0x9e3779b97f4a7c15, Tokens: (n + 1) * blockTokens})
	}
	return &job{prompt: tokens, output: 50, blocks: c.blocks}
}

// chats begins conversations, so many a second on average, each of some turns with
// a pause between.
func (s *simulation) chats(n int, perSecond float64) {
	s.pour(n, perSecond, func() *job {
		c := &conversation{id: s.random.Uint64()}
		return s.turns(c, 4+s.random.IntN(9))
	})
}

func (s *simulation) turns(c *conversation, left int) *job {
	j := c.prompt()
	if left > 1 {
		j.done = func() {
			s.after(time.Duration(1+s.random.IntN(10))*time.Second, func() { s.send(s.turns(c, left-1)) })
		}
	}
	return j
}

// caching are n servers with prefix caches that hold a part of what is asked in a
// while.
func caching(n int) (servers []*server) {
	for i := range n {
		servers = append(servers, &server{
			Candidate: candidate(fmt.Sprint(i)), places: 16, cache: newCache(200_000),
			start: 20 * time.Millisecond, perPrompt: 50 * time.Microsecond, perOutput: 10 * time.Millisecond,
		})
	}
	return servers
}

func affinity() *PrefixAffinity {
	return &PrefixAffinity{Table: NewPrefixTable(4<<20, 10*time.Minute), Balance: 1.25, Random: rand.New(rand.NewPCG(1, 2)).Float64}
}

// hits is the part of all prompt tokens that came out of caches.
func (s *simulation) hits() float64 {
	read, cached := 0, 0
	for _, v := range s.servers {
		read, cached = read+v.read, cached+v.cached
	}
	return float64(cached) / float64(read)
}

// mostLoaded is the most that any server had to do, as a multiple of the mean: by
// requests, and by the tokens that it had to read.
func (s *simulation) mostLoaded() (requests, tokens float64) {
	served, read, mostServed, mostRead := 0, 0, 0, 0
	for _, v := range s.servers {
		served, read = served+v.served, read+v.read-v.cached
		mostServed, mostRead = max(mostServed, v.served), max(mostRead, v.read-v.cached)
	}
	n := float64(len(s.servers))
	return float64(mostServed) * n / float64(served), float64(mostRead) * n / float64(read)
}

// Conversations find the server that has read them before, and all servers have as
// much to do, although all conversations begin with the same system prompt.
func TestPrefixAffinitySimulation(t *testing.T) {
	for _, test := range []struct {
		servers   int
		perSecond float64
	}{{8, 4}, {16, 4}, {16, 12}} {
		t.Run(fmt.Sprintf("%d servers, %v chats a second", test.servers, test.perSecond), func(t *testing.T) {
			run := func(strategy Strategy) *simulation {
				s := newSimulation(strategy, caching(test.servers)...)
				s.chats(600, test.perSecond)
				s.run()
				s.checkIdle(t)
				return s
			}
			weighted, warm := run(Weighted{Random: rand.New(rand.NewPCG(1, 2)).Float64}), run(affinity())
			requests, tokens := warm.mostLoaded()
			t.Logf("hits: weighted %.3f, prefix_affinity %.3f; p99 of the first token %.3f s and %.3f s; most loaded: %.2f by requests, %.2f by tokens",
				weighted.hits(), warm.hits(), weighted.percentile(0.99), warm.percentile(0.99), requests, tokens)
			if warm.hits() < 3*weighted.hits() {
				t.Errorf("got %.3f of the tokens from caches, want at least 3 times weighted's %.3f", warm.hits(), weighted.hits())
			}
			if requests > 1.25 || tokens > 1.25 {
				t.Errorf("got a server with %.2f times the mean of requests and %.2f of tokens, want at most 1.25", requests, tokens)
			}
		})
	}
}

// A system prompt that makes up nearly all of every prompt is soon everywhere.
func TestSharedSystemPromptMakesNoHotspot(t *testing.T) {
	s := newSimulation(affinity(), caching(8)...)
	var system reading
	for n := range 200 {
		system = append(system, Prefix{Hash: uint64(n)*977 + 1, Tokens: (n + 1) * blockTokens})
	}
	s.pour(5000, 20, func() *job { return &job{prompt: 200*blockTokens + 50, output: 50, blocks: system} })
	s.run()
	s.checkIdle(t)
	requests, _ := s.mostLoaded()
	t.Logf("hits %.3f, most loaded %.2f", s.hits(), requests)
	if requests > 1.25 {
		t.Errorf("got a server with %.2f times the mean of requests, want at most 1.25", requests)
	}
	if s.hits() < 0.95 {
		t.Errorf("got %.3f of the tokens from caches, want nearly all", s.hits())
	}
}

func TestPrefixAffinityPicks(t *testing.T) {
	long := reading{{1, 1000}, {2, 2000}, {3, 3000}}
	busy := func(requests, tokens int) func(*Candidate) {
		return func(c *Candidate) {
			for range requests {
				c.Acquire()
				c.Carry(tokens, tokens)
			}
		}
	}
	type sent struct {
		to     string
		prompt reading
		ago    time.Duration
	}
	for _, test := range []struct {
		name string
		sent []sent
		all  []*Candidate
		want string // of any of these
	}{
		{"nobody has it", nil, []*Candidate{candidate("a"), candidate("b")}, "ab"},
		{"one has it", []sent{{to: "b", prompt: long}}, []*Candidate{candidate("a"), candidate("b")}, "b"},
		{"one has more of it", []sent{{to: "a", prompt: long[:1]}, {to: "b", prompt: long[:2]}}, []*Candidate{candidate("a"), candidate("b"), candidate("c")}, "b"},
		{"one has something else", []sent{{to: "b", prompt: reading{{7, 1000}}}}, []*Candidate{candidate("a"), candidate("b")}, "ab"},
		{"who has it is out", []sent{{to: "x", prompt: long}, {to: "a", prompt: long[:1]}}, []*Candidate{candidate("a"), candidate("b")}, "a"},
		{"it was long ago", []sent{{to: "b", prompt: long, ago: 11 * time.Minute}}, []*Candidate{candidate("a"), candidate("b")}, "ab"},
		{"less waits than it saves", []sent{{to: "b", prompt: long}}, []*Candidate{candidate("a"), candidate("b", busy(2, 1400))}, "b"},
		{"more waits than it saves", []sent{{to: "b", prompt: long}}, []*Candidate{candidate("a"), candidate("b", busy(2, 1600))}, "a"},
		{"too many are there", []sent{{to: "b", prompt: long}}, []*Candidate{candidate("a", busy(20, 0)), candidate("b", busy(34, 0))}, "a"},
		{"not too many are there", []sent{{to: "b", prompt: long}}, []*Candidate{candidate("a", busy(20, 0)), candidate("b", busy(32, 0))}, "b"},
		{"a few are no reason", []sent{{to: "b", prompt: long}}, []*Candidate{candidate("a"), candidate("b", busy(7, 0))}, "b"},
		{"the heavier may carry more", []sent{{to: "b", prompt: long}}, []*Candidate{candidate("a", weight(1), busy(20, 0)), candidate("b", weight(2), busy(40, 0))}, "b"},
		{"all have it", []sent{{to: "a", prompt: long}, {to: "b", prompt: long}, {to: "c", prompt: long}, {to: "d", prompt: long}}, []*Candidate{candidate("a"), candidate("b"), candidate("c"), candidate("d"), candidate("e")}, "abcde"},
		{"a standby has it", []sent{{to: "b", prompt: long}}, []*Candidate{candidate("a", weight(1)), candidate("b", weight(0))}, "a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &PrefixAffinity{Table: NewPrefixTable(1<<16, 10*time.Minute), Balance: 1.25}
			query := func(r reading, now time.Time) *Query {
				var prompt Prompt
				prompt.Reset(r)
				return &Query{Now: now, Tokens: 3100, Prompt: &prompt}
			}
			for _, s := range test.sent {
				to := candidate("x")
				for _, c := range test.all {
					if c.ID == s.to {
						to = c
					}
				}
				p.Sent(query(s.prompt, noon.Add(-s.ago)), to)
			}
			got := make(map[string]bool)
			for range 200 {
				got[p.Pick(query(long, noon), test.all).ID] = true
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

// What different models read is not the same, though it reads the same.
func TestPrefixesAreOfAModel(t *testing.T) {
	p := affinity()
	c := candidate("a")
	sent := func(model string) int {
		var prompt Prompt
		prompt.Reset(reading{{1, 1000}})
		return p.Sent(&Query{Now: noon, Model: model, Tokens: 1100, Prompt: &prompt}, c)
	}
	for i, test := range []struct {
		model  string
		unread int
	}{{"m", 1100}, {"m", 100}, {"n", 1100}, {"n", 100}} {
		if got := sent(test.model); got != test.unread {
			t.Errorf("request %d, for %s: got %d tokens to read, want %d", i, test.model, got, test.unread)
		}
	}
}
