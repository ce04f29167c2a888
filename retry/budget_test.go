package retry

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var budgetStart = time.Unix(1_750_000_000, 0)

// withdrawAll counts how many retries are allowed at one moment.
func withdrawAll(b *Budget, now time.Time) int {
	n := 0
	for n < 10_000 && b.Withdraw(now) {
		n++
	}
	return n
}

func deposit(b *Budget, n int, now time.Time) {
	for range n {
		b.Deposit(now)
	}
}

func TestBudgetAllows(t *testing.T) {
	for _, c := range []struct {
		name                  string
		percent, minPerSecond float64
		requests, want        int
	}{
		{"the minimum without requests", 20, 3, 0, 30},
		{"the minimum above the share", 20, 3, 100, 30},
		{"the share above the minimum", 20, 3, 200, 40},
		{"the share alone", 20, 0, 100, 20},
		{"no part of a retry", 20, 0, 4, 0},
		{"one for five", 20, 0, 5, 1},
		{"less than one a second", 0, 0.25, 1000, 2},
		{"nothing", 0, 0, 1000, 0},
		{"nonsense as nothing", math.NaN(), -1, 1000, 0},
		{"more than all", 200, 0, 10, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := NewBudget(c.percent, c.minPerSecond)
			deposit(b, c.requests, budgetStart)
			if got := withdrawAll(b, budgetStart); got != c.want {
				t.Errorf("got %d retries, want %d", got, c.want)
			}
		})
	}
}

func TestBudgetNilAllowsEverything(t *testing.T) {
	var b *Budget
	b.Deposit(budgetStart)
	if !b.Withdraw(budgetStart) {
		t.Error("got a refusal, want none")
	}
}

func TestBudgetSlides(t *testing.T) {
	b := NewBudget(10, 0)
	for second := range 5 { // 20 requests in each of five seconds
		deposit(b, 20, budgetStart.Add(time.Duration(second)*time.Second))
	}
	at := func(second int) time.Time { return budgetStart.Add(time.Duration(second) * time.Second) }
	for _, step := range []struct{ second, want int }{
		{4, 10},        // all hundred are in the window
		{9, 0},         // and so are the ten retries
		{10, 0},        // the first twenty requests have left, the retries have not
		{13, 0},        // only the last twenty are left
		{14, 0},        // the retries have left with the last requests
		{1_000, 0},     // long after
		{1<<32 + 4, 0}, // the number of the second has wrapped: the old ones look new, the retries too
	} {
		if got := withdrawAll(b, at(step.second)); got != step.want {
			t.Errorf("second %d: got %d retries, want %d", step.second, got, step.want)
		}
	}
	deposit(b, 50, at(2_000))
	if got := withdrawAll(b, at(2_009)); got != 5 {
		t.Errorf("nine seconds after: got %d retries, want 5", got)
	}
	deposit(b, 50, at(2_010)) // takes the slot of second 2000
	if got := withdrawAll(b, at(2_010)); got != 0 {
		t.Errorf("with the retries of a second ago: got %d, want 0", got)
	}
	if got := withdrawAll(b, at(2_019)); got != 5 {
		t.Errorf("when those have left: got %d retries, want 5", got)
	}
}

func TestBudgetWithoutNewRequestsComesBack(t *testing.T) {
	b := NewBudget(0, 1)
	if got := withdrawAll(b, budgetStart); got != 10 {
		t.Fatalf("got %d retries, want 10", got)
	}
	for second := 1; second < budgetWindow; second++ {
		if b.Withdraw(budgetStart.Add(time.Duration(second) * time.Second)) {
			t.Errorf("got a retry after %d s, want none before the window is over", second)
		}
	}
	if got := withdrawAll(b, budgetStart.Add(budgetWindow*time.Second)); got != 10 {
		t.Errorf("after the window: got %d retries, want 10", got)
	}
}

// A clock that is set back must neither block retries for good nor allow more.
func TestBudgetClockSetBack(t *testing.T) {
	b := NewBudget(100, 0)
	deposit(b, 10, budgetStart)
	deposit(b, 10, budgetStart.Add(-2*time.Second))
	if got := withdrawAll(b, budgetStart.Add(-time.Second)); got != 20 {
		t.Errorf("a little: got %d retries, want 20", got)
	}
	back := budgetStart.Add(-time.Hour)
	deposit(b, 7, back)
	if got := withdrawAll(b, back); got != 7 {
		t.Errorf("an hour: got %d retries, want 7", got)
	}
}

func TestBudgetCountsFullTally(t *testing.T) {
	full := tally(5)<<32 | (1<<32 - 1)
	if got := full.plusOne(5); got != full {
		t.Errorf("got %x, want %x", got, full)
	}
}

func TestBudgetConcurrent(t *testing.T) {
	b := NewBudget(10, 0)
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				b.Deposit(budgetStart)
			}
		})
	}
	wg.Wait()
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if b.Withdraw(budgetStart) {
					allowed.Add(1)
				}
				b.Deposit(budgetStart.Add(-time.Minute)) // outside the window
			}
		})
	}
	wg.Wait()
	if got := allowed.Load(); got > 800 || got < 1 {
		t.Errorf("got %d retries, want at most 800", got)
	}
}

func TestBudgetDepositAllocatesNothing(t *testing.T) {
	b := NewBudget(20, 3)
	if got := testing.AllocsPerRun(100, func() { b.Deposit(budgetStart); b.Withdraw(budgetStart) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// Every request pays for a Deposit, from every core at once.
func BenchmarkBudgetDeposit(b *testing.B) {
	budget := NewBudget(20, 3)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			budget.Deposit(budgetStart)
		}
	})
}

func TestBudgetCountsWhatItIsCharged(t *testing.T) {
	now := time.Unix(1000, 0)
	b := NewBudget(0, 1) // ten in the window
	for range 8 {
		b.Charge(now)
	}
	for i, want := range []bool{true, true, false} {
		if got := b.Withdraw(now); got != want {
			t.Errorf("withdrawal %d after 8 charges: got %v, want %v", i+1, got, want)
		}
	}
	(*Budget)(nil).Charge(now) // no budget, nothing to count
}
