package selection

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
)

// bell counts how often it rang.
type bell struct{ rang atomic.Int64 }

func (b *bell) Freed() { b.rang.Add(1) }

func TestListen(t *testing.T) {
	c := candidate("a", parallel(1))
	turn := func() { c.Acquire(); c.Release() }
	var first, second bell
	turn()
	stopFirst := c.Listen(&first)
	again := c.Listen(&first)
	stopSecond := c.Listen(&second)
	turn()
	stopFirst()
	turn()
	again()
	turn()
	stopSecond()
	turn()
	if a, b := first.rang.Load(), second.rang.Load(); a != 3 || b != 3 {
		t.Errorf("got %d and %d rings, want 3 and 3", a, b)
	}
	if c.freed.Load() != nil {
		t.Error("somebody is still listening")
	}
}

func TestListenUnderConcurrency(t *testing.T) {
	c := candidate("a")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var b bell
			for range 2000 {
				stop := c.Listen(&b)
				c.Acquire()
				c.Release()
				stop()
			}
			if n := b.rang.Load(); n < 2000 {
				t.Errorf("got %d rings, want at least its own 2000", n)
			}
		})
	}
	wg.Wait()
	if c.InFlight() != 0 || c.freed.Load() != nil {
		t.Errorf("got %d in flight and listeners %v, want none", c.InFlight(), c.freed.Load())
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
