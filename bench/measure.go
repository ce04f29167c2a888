package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// sample is what one proxy did in one scenario of one round. What was not measured
// is 0.
type sample struct {
	proxy, scenario string
	round           int
	cpu             time.Duration // of the proxy, for one unit
	p50, p99        time.Duration // from a request to its answer, or from an event's sending to its arrival
	rss             int           // bytes; in a scenario of memory those for one stream
	perSecond       float64       // units
}

// maxTries is how often the time to measure is taken where nothing comes through, as
// on a machine that has more to do.
const maxTries = 20

// measure puts a scenario's load on addr, the proxy's or, without a process, an
// upstream's own.
func (b *bench) measure(ctx context.Context, s *scenario, addr string, p *process) (sample, error) {
	for _, u := range b.upstreams {
		u.interval.Store(int64(s.interval))
		u.events.Store(s.events)
	}
	idle, err := p.rss() // while nothing is open
	if err != nil {
		return sample{}, err
	}
	asked := b.asked()
	l := newLoad(addr, s)
	running, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { l.run(running); close(ended) }()
	stop := func() { cancel(); <-ended }
	defer stop()
	if s.memory {
		return b.memory(ctx, s, p, l, idle)
	}
	if err := pause(ctx, b.warmUp); err != nil {
		return sample{}, err
	}
	before, err := p.time()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	l.measuring.Store(true)
	for tries := 0; tries < maxTries && l.units.Load() == 0 && l.failures.Load() == 0; tries++ {
		if err := pause(ctx, b.duration); err != nil {
			return sample{}, err
		}
	}
	l.measuring.Store(false)
	after, err := p.time()
	if err != nil {
		return sample{}, err
	}
	n, took := l.units.Load(), time.Since(began)
	var result sample
	if result.rss, err = p.rss(); err != nil {
		return sample{}, err
	}
	stop()
	if err := l.failed(); err != nil {
		return sample{}, err
	}
	if answers, asked := l.answers.Load(), b.asked()-asked; n == 0 || asked < answers && (p == nil || !p.keeps) {
		return sample{}, fmt.Errorf("%d of %d answers came from an upstream, and %d units in time", asked, answers, n)
	}
	slices.Sort(l.delays)
	result.cpu, result.perSecond = (after-before)/time.Duration(n), float64(n)/took.Seconds()
	result.p50, result.p99 = quantile(l.delays, 0.5), quantile(l.delays, 0.99)
	return result, nil
}

// memory waits until all streams of the load are open and tells what each of them
// holds beyond what the process had in use before.
func (b *bench) memory(ctx context.Context, s *scenario, p *process, l *load, idle int) (sample, error) {
	for range 300 {
		if b.open() == int64(s.clients) {
			if err := pause(ctx, b.warmUp+2*s.interval); err != nil {
				return sample{}, err
			}
			rss, err := p.rss()
			return sample{rss: (rss - idle) / s.clients}, errors.Join(err, l.failed())
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return sample{}, err
		}
	}
	return sample{}, fmt.Errorf("%d of %d streams opened", b.open(), s.clients)
}

// time is the time that the process has run, 0 without one.
func (p *process) time() (time.Duration, error) {
	if p == nil {
		return 0, nil
	}
	return p.cpu()
}

// asked is how many requests have come to the upstreams.
func (b *bench) asked() (n int64) {
	for _, u := range b.upstreams {
		n += u.asked.Load()
	}
	return n
}

// open is how many requests are at the upstreams.
func (b *bench) open() (n int64) {
	for _, u := range b.upstreams {
		n += u.open.Load()
	}
	return n
}

// pause waits, or fails when the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// quantile of sorted values, 0 without any.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))]
}
