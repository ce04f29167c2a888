package queue

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// world is a pool in which anything happens, and what must hold of it.
type world struct {
	t    *testing.T
	rnd  *rand.Rand
	q    Queue
	free [2]int // two deployments

	waiting map[int]*resident
	using   []*resident
	arrived int
	granted int
	ended   [Canceled + 1]int
}

// resident is a request; of kind 0 and 1 those that can use one deployment only,
// of kind 2 those that can use both.
type resident struct {
	id, kind, priority int
	team               string
	since              time.Time
	uses               int
	granted            bool
	cancel             context.CancelFunc
	done               chan Outcome
}

const worldSize = 12

func (w *world) usable(kind int) (int, bool) {
	for i, free := range w.free {
		if free > 0 && (kind == 2 || kind == i) {
			return i, true
		}
	}
	return 0, false
}

func (w *world) arrive() {
	ctx, cancel := context.WithCancel(w.t.Context())
	r := &resident{
		id: w.arrived, kind: w.rnd.IntN(3), priority: w.rnd.IntN(4), team: string(rune('a' + w.rnd.IntN(3))),
		since: time.Now(), cancel: cancel, done: make(chan Outcome, 1),
	}
	w.arrived++
	w.waiting[r.id] = r
	e := Entry{
		Priority: r.priority, Team: r.team, Tokens: int64(w.rnd.IntN(5000)), Kind: r.kind,
		Size: worldSize, Timeout: time.Duration(1+w.rnd.IntN(60)) * time.Second,
		Take: func() bool { return w.take(r) },
	}
	go func() { r.done <- w.q.Wait(ctx, e) }()
	synctest.Wait()
}

// take is Take; the Queue's lock guards the world, as nothing else runs.
func (w *world) take(r *resident) bool {
	if r.granted {
		w.t.Errorf("request %d is tried again after it was granted", r.id)
	}
	i, ok := w.usable(r.kind)
	if !ok {
		return false
	}
	w.free[i]--
	r.uses, r.granted = i, true
	w.granted++
	aged := r.priority - int(time.Since(r.since)/AgingStep)
	for _, other := range w.waiting {
		switch {
		case other == r || other.granted || other.kind != r.kind:
		case other.priority < aged:
			w.t.Errorf("request %d of priority %d, %d by age, goes before %d of %d",
				r.id, r.priority, aged, other.id, other.priority)
		case other.team == r.team && other.priority <= r.priority && other.id < r.id:
			w.t.Errorf("request %d goes before %d of its team, which came first", r.id, other.id)
		}
	}
	return true
}

// settle takes note of those whose wait has ended.
func (w *world) settle() {
	synctest.Wait()
	for id, r := range w.waiting {
		select {
		case out := <-r.done:
			w.ended[out.Result]++
			if r.granted != (out.Result == Taken) {
				w.t.Errorf("request %d: got %v, want it taken: %v", id, out.Result, r.granted)
			}
			if lost := out.Result == Refused || out.Result == Shed || out.Result == TimedOut; lost != (out.Predicted > 0) {
				w.t.Errorf("request %d: %v with a predicted wait of %v", id, out.Result, out.Predicted)
			}
			if r.granted {
				w.using = append(w.using, r)
			} else {
				r.cancel()
			}
			delete(w.waiting, id)
		default:
		}
	}
}

func (w *world) release() {
	if len(w.using) == 0 {
		return
	}
	i := w.rnd.IntN(len(w.using))
	r := w.using[i]
	w.using = append(w.using[:i], w.using[i+1:]...)
	r.cancel()
	w.free[r.uses]++
	w.q.Dispatch()
}

func (w *world) cancel() {
	for _, r := range w.waiting {
		r.cancel()
		return
	}
}

func (w *world) check() {
	w.t.Helper()
	if got := w.q.Waiting(); got != len(w.waiting) || got > worldSize {
		w.t.Errorf("%d wait, want %d, and no more than %d", got, len(w.waiting), worldSize)
	}
	best := 1 << 30
	for id, r := range w.waiting {
		if i, ok := w.usable(r.kind); ok {
			w.t.Errorf("request %d of kind %d waits though deployment %d has room", id, r.kind, i)
		}
		best = min(best, r.priority-int(time.Since(r.since)/AgingStep))
	}
	for priority := -5; priority < 5; priority++ {
		if got, want := w.q.MustWait(time.Now(), priority), priority >= best; got != want {
			w.t.Errorf("must wait with priority %d: got %v, want %v", priority, got, want)
		}
	}
}

func TestWhateverHappens(t *testing.T) {
	var ended [Canceled + 1]int
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			const capacity = 3
			w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 4)), waiting: map[int]*resident{}}
			w.free = [2]int{capacity, capacity}
			busy := 2 + w.rnd.IntN(4)
			for range 400 {
				switch n := w.rnd.IntN(10); {
				case n < busy:
					w.arrive()
				case n < 7:
					w.release()
				case n < 8:
					w.cancel()
				default:
					time.Sleep(time.Duration(w.rnd.IntN(8000)) * time.Millisecond)
				}
				w.settle()
				w.check()
				if t.Failed() {
					t.Fatalf("seed %d, with %d waiting", seed, len(w.waiting))
				}
			}
			for len(w.waiting)+len(w.using) > 0 {
				w.release()
				w.settle()
			}
			if w.free != [2]int{capacity, capacity} {
				t.Errorf("seed %d: %v are free at the end, want %d each", seed, w.free, capacity)
			}
			if got := w.ended[Taken]; got != w.granted {
				t.Errorf("seed %d: %d were told that they have taken, want %d", seed, got, w.granted)
			}
			for r, n := range w.ended {
				ended[r] += n
			}
		})
	}
	for r := Taken; r <= Canceled; r++ {
		if ended[r] == 0 {
			t.Errorf("nobody was %v, want every result to come up", r)
		}
	}
}
