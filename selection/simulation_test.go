package selection

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// simulation sends requests to simulated model servers, by a clock of its own and
// with numbers that are the same in every run.
type simulation struct {
	now      time.Time
	events   events
	random   *rand.Rand
	strategy Strategy
	servers  []*server
	all      []*Candidate
	usable   []*Candidate

	took    []time.Duration // from the arrival to the first token
	to      []string        // who got which request, in the order of their arrival
	refused int             // nobody was left
}

func newSimulation(strategy Strategy, servers ...*server) *simulation {
	s := &simulation{now: noon, random: rand.New(rand.NewPCG(7, 7)), strategy: strategy, servers: servers}
	for _, server := range servers {
		server.Candidate.Upstream = server
		s.all = append(s.all, server.Candidate)
	}
	return s
}

type event struct {
	at time.Time
	n  int // the order of events of one moment
	do func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (s *simulation) after(d time.Duration, do func()) {
	heap.Push(&s.events, event{s.now.Add(d), len(s.to) + len(s.events), do})
}

// run lets time go by until nothing is left to happen.
func (s *simulation) run() {
	for len(s.events) > 0 {
		next := heap.Pop(&s.events).(event)
		s.now = next.at
		next.do()
	}
}

// job is a simulated request.
type job struct {
	prompt, output int // tokens
	blocks         reading
	arrived        time.Time
	carried        Carried
	done           func()
}

// reading is the beginnings of a simulated prompt.
type reading []Prefix

func (r reading) Prefixes(dst []Prefix) []Prefix { return append(dst, r...) }

// pour sends n requests, so many a second on average.
func (s *simulation) pour(n int, perSecond float64, make func() *job) {
	at := time.Duration(0)
	for range n {
		at += time.Duration(s.random.ExpFloat64() / perSecond * float64(time.Second))
		s.after(at, func() { s.send(make()) })
	}
}

func (s *simulation) send(j *job) {
	var prompt Prompt
	prompt.Reset(j.blocks)
	q := &Query{Now: s.now, Tokens: j.prompt, Stream: !s.servers[0].whole, Prompt: &prompt}
	j.arrived = s.now
	usable := q.Filter(s.usable[:0], s.all)
	s.usable = usable
	if len(usable) == 0 {
		s.refused++
		return
	}
	c := s.strategy.Pick(q, usable)
	if !c.Acquire() {
		panic("picked one that is full")
	}
	if c.Limiter != nil {
		if _, ok := c.Limiter.Reserve(s.now, q.TokensOn(c)); !ok {
			panic("picked one that is used up")
		}
	}
	unread := q.Tokens
	if w, ok := s.strategy.(Watcher); ok {
		unread = w.Sent(q, c)
	}
	j.carried = c.Carry(q.Tokens, unread)
	s.to = append(s.to, c.ID)
	c.Upstream.(*server).take(s, j)
}

// server is a simulated model server. It has so many places; a request that has one
// reads its prompt and writes its answer, others wait in line.
type server struct {
	*Candidate
	places int
	// perPrompt and perOutput are the times for a token; start comes on top.
	start, perPrompt, perOutput time.Duration
	fails                       bool // at once
	whole                       bool // answers come whole
	cache                       *cache
	line                        []*job
	busy                        int
	served, read, cached        int // requests; tokens of prompts
}

func (v *server) take(s *simulation, j *job) {
	if v.fails {
		s.after(time.Millisecond, func() {
			v.Latency.Failed(s.now, j.prompt, s.now.Sub(j.arrived))
			v.end(s, j)
		})
		return
	}
	v.line = append(v.line, j)
	v.next(s)
}

func (v *server) next(s *simulation) {
	if v.busy == v.places || len(v.line) == 0 {
		return
	}
	j := v.line[0]
	v.line = v.line[1:]
	v.busy++
	unread := j.prompt
	if v.cache != nil {
		hit := min(v.cache.read(j.blocks), j.prompt)
		unread -= hit
		v.cached += hit
	}
	v.read += j.prompt
	v.served++
	s.after(v.start+time.Duration(unread)*v.perPrompt, func() {
		first := s.now.Sub(j.arrived)
		s.took = append(s.took, first)
		if v.whole {
			first = 0
		} else {
			j.carried.Answered()
		}
		s.after(time.Duration(j.output)*v.perOutput, func() {
			v.busy--
			v.Latency.Served(s.now, Answer{Prompt: j.prompt, Output: int64(j.output), FirstToken: first, Took: s.now.Sub(j.arrived)})
			v.Output.Add(float64(j.output))
			v.end(s, j)
			v.next(s)
		})
	})
}

func (v *server) end(_ *simulation, j *job) {
	j.carried.End()
	v.Release()
	if j.done != nil {
		j.done()
	}
}

// percentile of the times to the first token, in seconds.
func (s *simulation) percentile(p float64) float64 {
	sorted := slices.Sorted(slices.Values(s.took))
	return sorted[int(math.Ceil(p*float64(len(sorted))))-1].Seconds()
}

// checkIdle checks that nothing is counted any more.
func (s *simulation) checkIdle(t *testing.T) {
	t.Helper()
	for _, v := range s.servers {
		requests, unread := v.Unanswered()
		if v.InFlight() != 0 || v.InFlightTokens() != 0 || requests != 0 || unread != 0 {
			t.Errorf("%s carries %d requests of %d tokens, %d of %d unanswered, at the end; want none",
				v.ID, v.InFlight(), v.InFlightTokens(), requests, unread)
		}
	}
}

// share is the part of some requests that went to id.
func share(to []string, id string) float64 {
	n := 0
	for _, other := range to {
		if other == id {
			n++
		}
	}
	return float64(n) / float64(max(len(to), 1))
}

// alike are n servers with a first token after 100 ms and room for all; their
// answers are streams, or come whole.
func alike(n int, whole bool) (servers []*server) {
	for i := range n {
		servers = append(servers, &server{
			Candidate: candidate(fmt.Sprint(i)), places: 1000,
			start: 100 * time.Millisecond, perOutput: 2 * time.Millisecond, whole: whole,
		})
	}
	return servers
}
