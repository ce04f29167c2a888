package selection

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
	"unsafe"
)

func TestPrefixTableIsAsLargeAsItSays(t *testing.T) {
	if got := unsafe.Sizeof(prefixSet{}); got != setBytes {
		t.Errorf("got sets of %d bytes, want %d", got, setBytes)
	}
	for memory, want := range map[int64]int{0: 1, 1: 1, 128: 1, 255: 1, 256: 2, 1 << 20: 1 << 13} {
		if got := len(NewPrefixTable(memory, time.Minute).sets); got != want {
			t.Errorf("%d bytes: got %d sets, want %d", memory, got, want)
		}
	}
}

// What is asked for again is kept, and what was asked for longest ago gives way.
func TestPrefixTableForgetsTheOldest(t *testing.T) {
	table := NewPrefixTable(128, time.Hour) // room for four
	for now := uint32(1); now <= 100; now++ {
		table.note(1, 7, now)
		table.note(uint64(1000+now), 7, now)
	}
	for hash, want := range map[uint64]bool{1: true, 1100: true, 1099: true, 1098: true, 1097: false, 1001: false} {
		if got := table.find(hash) != nil; got != want {
			t.Errorf("prefix %d: got %v, want %v", hash, got, want)
		}
	}
}

func TestPrefixTableKnowsWhoHasSeenWhat(t *testing.T) {
	table := NewPrefixTable(1<<12, time.Minute)
	steps := []struct {
		name   string
		number uint32
		at     uint32
		had    bool
	}{
		{"the first", 1, 100, false},
		{"it again", 1, 100, true},
		{"another", 2, 110, false},
		{"a third", 3, 120, false},
		{"the first again", 1, 130, true},
		{"a fourth takes the place of one that has forgotten", 4, 171, false},
		{"that one again is one too many: all have it", 2, 172, false},
		{"somebody new has it then", 9, 180, true},
		{"all have forgotten", 9, 241, false},
		{"but one", 9, 241, true},
	}
	for _, s := range steps {
		if got := table.note(42, s.number, s.at); got != s.had {
			t.Errorf("%s: got %v, want %v", s.name, got, s.had)
		}
	}
}

func TestPrefixTableUnderConcurrency(t *testing.T) {
	table := NewPrefixTable(1<<10, time.Minute)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range 20_000 {
				hash := random.Uint64N(200) + 1
				table.note(hash, uint32(1+random.IntN(6)), uint32(100+i/1000))
				if e := table.find(hash); e != nil {
					for j := range e.holders {
						if number, ok := table.fresh(e.holders[j].Load(), 120); ok && number != anybody && (number < 1 || number > 6) {
							t.Errorf("got the deployment %d, want 1 to 6", number)
							return
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestNumbersAreOfOneDeployment(t *testing.T) {
	states := []*State{new(State), new(State)}
	var wg sync.WaitGroup
	got := make([][2]uint32, 8)
	for g := range got {
		wg.Go(func() { got[g] = [2]uint32{states[0].numbered(), states[1].numbered()} })
	}
	wg.Wait()
	for _, pair := range got {
		if pair != got[0] || pair[0] == pair[1] || pair[0] == 0 || pair[1] == 0 {
			t.Fatalf("got the numbers %v, want two that are the same for all", got)
		}
	}
}
