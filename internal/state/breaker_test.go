package state

import (
	"errors"
	"testing"
	"time"
)

var noon = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)

func TestBreaker(t *testing.T) {
	var b breaker
	var downs, ups []string
	b.observe(Observer{
		Down: func(err error) { downs = append(downs, err.Error()) },
		Up:   func(after time.Duration) { ups = append(ups, after.String()) },
	})
	check := func(when string, up, down bool, wantDowns, wantUps int) {
		t.Helper()
		if b.up() != up || b.down() != down || len(downs) != wantDowns || len(ups) != wantUps {
			t.Errorf("%s: got up %v, down %v, told %v and %v; want %v, %v, %d and %d", when, b.up(), b.down(), downs, ups, up, down, wantDowns, wantUps)
		}
	}
	check("before the first round", false, false, 0, 0)
	b.succeed(noon)
	check("after it", true, false, 0, 0)
	for range patience - 1 {
		b.miss(noon, errors.New("slow"))
	}
	check("while reservations may fail", true, false, 0, 0)
	b.succeed(noon)
	b.miss(noon, errors.New("slow"))
	check("when they do not fail in a row", true, false, 0, 0)
	for range patience {
		b.miss(noon, errors.New("slow"))
	}
	check("when they do", false, true, 1, 0)
	b.fail(noon.Add(time.Second), errors.New("gone"))
	check("when more fails", false, true, 1, 0)
	b.succeed(noon.Add(minPause - 1))
	check("during its pause", false, true, 1, 0)
	b.succeed(noon.Add(minPause))
	check("after it", true, false, 1, 1)
	if ups[0] != "1s" {
		t.Errorf("got %q, want it to have been away for 1s", ups)
	}
	b.fail(noon.Add(time.Minute), errors.New("gone"))
	b.succeed(noon.Add(time.Minute + 1))
	check("when the background has found it back", true, false, 2, 2)
}

// A Redis that comes and goes is told of ever more seldom.
func TestBreakerRestsLonger(t *testing.T) {
	var b breaker
	now := noon
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		for range patience {
			b.miss(now, errors.New("slow"))
		}
		want *= time.Second
		b.succeed(now.Add(want - 1))
		if b.up() {
			t.Errorf("pause %d: got it up after less than %v", i, want)
		}
		now = now.Add(want)
		if b.succeed(now); !b.up() {
			t.Errorf("pause %d: got it down after %v", i, want)
		}
	}
	now = now.Add(calm + 1)
	for range patience {
		b.miss(now, errors.New("slow"))
	}
	if b.succeed(now.Add(minPause)); !b.up() {
		t.Error("got a long pause after a calm time, want the shortest")
	}
}

func TestTheLastObserverIsTold(t *testing.T) {
	var b breaker
	told := make(map[string]int)
	observer := func(name string) Observer {
		return Observer{Foreign: func(string) { told[name]++ }}
	}
	now := noon
	tell := func() {
		now = now.Add(foreignPause)
		b.tellForeign(now, "k")
		b.tellForeign(now.Add(time.Minute), "k") // too soon to say it again
	}
	tell()
	removeOld := b.observe(observer("old"))
	tell()
	removeNew := b.observe(observer("new"))
	tell()
	removeNew()
	tell()
	removeOld()
	tell()
	if told["old"] != 2 || told["new"] != 1 {
		t.Errorf("got %v, want old twice and new once", told)
	}
}
