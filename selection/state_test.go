package selection

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
)

// bell counts how often it rang.
type bell struct{ rang atomic.Int64 }

func (b *bell) Dispatch() { b.rang.Add(1) }

func TestListen(t *testing.T) {
	c := candidate("a", parallel(1))
	var first, second bell
	for i, step := range []struct {
		do            func()
		first, second int64 // rings until here
	}{
		{func() {}, 0, 0},
		{func() { c.Listen(&first) }, 1, 0},
		{func() { c.Listen(&first) }, 2, 0}, // told once, however often it listens
		{func() { c.Listen(&second) }, 3, 1},
		{func() { c.Unlisten(&first) }, 4, 2},
		{func() { c.Unlisten(&first) }, 4, 3},
		{func() { c.Unlisten(&second) }, 4, 3},
	} {
		step.do()
		c.Acquire()
		c.Release()
		c.Acquire()
		c.Abandon() // is nobody's business
		if a, b := first.rang.Load(), second.rang.Load(); a != step.first || b != step.second {
			t.Errorf("step %d: got %d and %d rings, want %d and %d", i, a, b, step.first, step.second)
		}
	}
	if c.listening.now() != nil {
		t.Error("somebody is still listening")
	}
}

func TestListenUnderConcurrency(t *testing.T) {
	c := candidate("a")
	var shared bell
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var own bell
			for range 2000 {
				c.Listen(&own)
				c.Listen(&shared)
				c.Acquire()
				c.Release()
				c.Unlisten(&own)
				c.Unlisten(&shared)
			}
			if n := own.rang.Load(); n < 2000 {
				t.Errorf("got %d rings, want at least its own 2000", n)
			}
		})
	}
	wg.Wait()
	if n := shared.rang.Load(); n < 8*2000 || c.InFlight() != 0 || c.listening.now() != nil {
		t.Errorf("got %d rings, %d in flight and listeners %v, want 16000 or more, and none", n, c.InFlight(), c.listening.now())
	}
}

func TestAverage(t *testing.T) {
	for _, test := range []struct {
		name    string
		samples []float64
		want    float64
	}{
		{"nothing seen", nil, 0},
		{"the first counts whole", []float64{8}, 8},
		{"later ones move it", []float64{8, 18}, 10},
		{"what is no sample does not", []float64{8, 0, -3, math.NaN(), math.Inf(1)}, 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			var a Average
			for _, s := range test.samples {
				a.Add(s)
			}
			if got := a.Value(); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
