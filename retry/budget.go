package retry

import (
	"sync"
	"sync/atomic"
	"time"
)

// budgetWindow is the sliding window of a Budget in seconds.
const budgetWindow = 10

// Budget keeps retries to a share of the requests of the last ten seconds, so
// that they do not bury upstreams that are already failing. It is safe for
// concurrent use. A nil Budget allows everything.
type Budget struct {
	share  float64 // of the requests in the window
	spared float64 // retries that a window has in any case

	// A ring of seconds. Requests are counted without a lock, as they all pass
	// here; retries are few enough to take one.
	deposits [budgetWindow]atomic.Uint64

	mu          sync.Mutex
	withdrawals [budgetWindow]tally // guarded by mu
}

// NewBudget returns a Budget that allows percent retries for every 100 requests,
// and no fewer than minPerSecond retries a second however few the requests.
// Values that are negative or no numbers count as zero.
func NewBudget(percent, minPerSecond float64) *Budget {
	return &Budget{
		share:  atLeastZero(percent) / 100,
		spared: atLeastZero(minPerSecond) * budgetWindow,
	}
}

func atLeastZero(f float64) float64 {
	if !(f > 0) {
		return 0
	}
	return f
}

// Deposit counts a request. It takes no lock and allocates nothing.
func (b *Budget) Deposit(now time.Time) {
	if b == nil {
		return
	}
	second := secondOf(now)
	slot := &b.deposits[second%budgetWindow]
	for {
		old := slot.Load()
		if slot.CompareAndSwap(old, uint64(tally(old).plusOne(second))) {
			return
		}
	}
}

// Withdraw reports whether a retry is allowed now, and counts it if so.
func (b *Budget) Withdraw(now time.Time) bool {
	if b == nil {
		return true
	}
	second := secondOf(now)
	var requests, retries uint64
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range budgetWindow {
		requests += tally(b.deposits[i].Load()).countAt(second)
		retries += b.withdrawals[i].countAt(second)
	}
	if float64(retries+1) > max(b.spared, b.share*float64(requests)) {
		return false
	}
	slot := &b.withdrawals[second%budgetWindow]
	*slot = slot.plusOne(second)
	return true
}

// Charge counts a retry that nobody asked leave for.
func (b *Budget) Charge(now time.Time) {
	if b == nil {
		return
	}
	second := secondOf(now)
	b.mu.Lock()
	defer b.mu.Unlock()
	slot := &b.withdrawals[second%budgetWindow]
	*slot = slot.plusOne(second)
}

// tally is a count within one second: the second in the upper half, so that one
// compare-and-swap both counts and starts over.
type tally uint64

// secondOf numbers seconds. The number wraps once in 136 years, which costs one
// window.
func secondOf(now time.Time) uint32 { return uint32(now.Unix()) }

// age is how many seconds ago the tally's second was, negative for one ahead.
func (t tally) age(second uint32) int32 { return int32(second - uint32(t>>32)) }

// plusOne counts one more. A tally of an earlier round of the ring starts over;
// one ahead of a clock that was set back goes on.
func (t tally) plusOne(second uint32) tally {
	if age := t.age(second); age != 0 && (age > 0 || age <= -budgetWindow) {
		return tally(second)<<32 | 1
	}
	if uint32(t) == 1<<32-1 {
		return t // full; it must not run over into the second
	}
	return t + 1
}

// countAt is the count if the tally is in the window that ends with second.
func (t tally) countAt(second uint32) uint64 {
	if age := t.age(second); age >= budgetWindow || age <= -budgetWindow {
		return 0
	}
	return uint64(uint32(t))
}
