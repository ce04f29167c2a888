package selection

import (
	"math"
	"sync/atomic"
	"time"
)

// Latency is how long answers of one deployment are expected to take: until the
// first token by the size of the prompt, and from one token to the next. It is a
// peak-EWMA: slower than expected counts at once, faster only by and by, so that a
// deployment that turns slow is seen by its first answers. The zero Latency has
// seen nothing. It is safe for concurrent use and takes no lock.
type Latency struct {
	first    [promptSizes]peak
	perToken peak
}

const (
	// promptSizes are the sizes of prompts that are told apart: below 256 tokens,
	// 1024, 4096, 16384, 65536, and above.
	promptSizes = 6
	// peakMemory is how long it takes until a peak counts for a third of what it did.
	peakMemory = 5 * time.Second
	// failureFloor and failureCap bound what a failure counts for, and failureCap what
	// waiting in vain does.
	failureFloor = time.Second
	failureCap   = 10 * time.Minute
)

// sizeOf is the size that a prompt of so many tokens has.
func sizeOf(tokens int) int {
	size := 0
	for limit := 256; tokens >= limit && size < promptSizes-1; limit *= 4 {
		size++
	}
	return size
}

// Answer is how long a good answer took.
type Answer struct {
	// Prompt and Output are the sizes of the prompt and of the answer in tokens; an
	// Output of 0 is unknown, or of an answer that does not consist of tokens.
	Prompt int
	Output int64
	// FirstToken is the time to the first token of a stream; of an answer that came
	// whole it is 0. Took is the time to the end of the answer.
	FirstToken, Took time.Duration
}

// Served takes in a good answer. Of one that came whole what is expected for the first
// token, at most half, is the first token's, and the rest is divided by its tokens;
// without any it is all first token.
func (l *Latency) Served(now time.Time, a Answer) {
	first := &l.first[sizeOf(a.Prompt)]
	switch {
	case a.FirstToken > 0:
		first.add(now, a.FirstToken.Seconds())
		if a.Output > 1 {
			l.perToken.add(now, (a.Took-a.FirstToken).Seconds()/float64(a.Output-1))
		}
	case a.Output > 0:
		whole := a.Took.Seconds()
		expected, _ := l.firstToken(now, a.Prompt)
		if expected > whole/2 {
			expected = whole / 2
			first.add(now, expected)
		}
		l.perToken.add(now, (whole-expected)/float64(a.Output))
	default:
		first.add(now, a.Took.Seconds())
	}
}

// Waited takes in that somebody waited for the first token that long and left. It
// never makes anything faster: where nothing is known, less than a second tells
// nothing.
func (l *Latency) Waited(now time.Time, promptTokens int, took time.Duration) {
	expected, _ := l.firstToken(now, promptTokens)
	if waited := took.Seconds(); waited > expected && (expected > 0 || took >= failureFloor) {
		l.first[sizeOf(promptTokens)].raise(now, min(waited, failureCap.Seconds()))
	}
}

// Failed takes in a failure after some time. However fast it came, it counts for
// slow: for twice as slow as before, and a second at least, whatever the prompt.
func (l *Latency) Failed(now time.Time, promptTokens int, took time.Duration) {
	own := sizeOf(promptTokens)
	expected, _ := l.firstToken(now, promptTokens)
	for size := range l.first {
		p := &l.first[size]
		value, _ := p.value(now)
		if size == own {
			value = max(value, expected)
		}
		if value > 0 || size == own {
			slow := max(took.Seconds(), 2*value, failureFloor.Seconds())
			p.raise(now, min(slow, failureCap.Seconds()))
		}
	}
	value, _ := l.perToken.value(now) // all that is known where answers come whole
	l.perToken.raise(now, min(2*value, failureCap.Seconds()))
}

// FirstToken is the time until the first token that is expected for a prompt of so
// many tokens, and for how long that has not been seen. Without answers to prompts
// of that size, those to the next smaller ones count, else to the next larger
// ones; without any it is 0.
func (l *Latency) FirstToken(now time.Time, promptTokens int) (expected, age time.Duration) {
	value, seconds := l.firstToken(now, promptTokens)
	return inSeconds(value), inSeconds(seconds)
}

// PerToken is the time from one token to the next that is expected, and for how
// long that has not been seen; 0 is unknown.
func (l *Latency) PerToken(now time.Time) (expected, age time.Duration) {
	value, seconds := l.perToken.value(now)
	return inSeconds(value), inSeconds(seconds)
}

func (l *Latency) firstToken(now time.Time, promptTokens int) (value, age float64) {
	own := sizeOf(promptTokens)
	for size := own; size >= 0; size-- {
		if value, age = l.first[size].value(now); value > 0 {
			return value, age
		}
	}
	for size := own + 1; size < promptSizes; size++ {
		if value, age = l.first[size].value(now); value > 0 {
			return value, age
		}
	}
	return 0, 0
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// peak is a peak-EWMA of seconds. Its value and when it was last seen are in one
// word, a float32 and ticks, so that they change together.
type peak struct{ bits atomic.Uint64 }

// tick is the unit of time of a peak as a power of two of nanoseconds, about 17 ms,
// in which 32 bits last for two years.
const tick = 24

func ticks(now time.Time) uint32 { return uint32(now.UnixNano() >> tick) }

// value is the expected number of seconds, 0 for unknown, and for how many
// seconds it has not been seen.
func (p *peak) value(now time.Time) (value, age float64) { return unpacked(now, p.bits.Load()) }

func unpacked(now time.Time, bits uint64) (value, age float64) {
	if bits == 0 {
		return 0, 0
	}
	return float64(math.Float32frombits(uint32(bits >> 32))), secondsSince(now, uint32(bits))
}

// secondsSince is the time since a tick. What seems to lie ahead was just now:
// the clock of whoever noted it was read later.
func secondsSince(now time.Time, at uint32) float64 {
	elapsed := int32(ticks(now) - at)
	return float64(max(elapsed, 0)) * (1 << tick) / float64(time.Second)
}

// add takes a sample in. What is not above zero is none.
func (p *peak) add(now time.Time, sample float64) {
	if !(sample > 0) {
		return
	}
	for {
		old := p.bits.Load()
		next := sample
		if value, age := unpacked(now, old); sample < value {
			keep := math.Exp(-age / peakMemory.Seconds())
			next = keep*value + (1-keep)*sample
		}
		if p.bits.CompareAndSwap(old, packed(now, next)) {
			return
		}
	}
}

// raise takes in that it was not less than bound.
func (p *peak) raise(now time.Time, bound float64) {
	for {
		old := p.bits.Load()
		if value, _ := unpacked(now, old); bound <= value {
			return
		}
		if p.bits.CompareAndSwap(old, packed(now, bound)) {
			return
		}
	}
}

func packed(now time.Time, value float64) uint64 {
	return uint64(math.Float32bits(float32(value)))<<32 | uint64(ticks(now))
}
