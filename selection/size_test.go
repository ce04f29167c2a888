package selection

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// never counts nothing: it must not be asked.
type never struct{}

func (never) Count(string) (int, bool) { return 0, false }

// counted is a prompt of so many tokens, and how often it was asked for them.
type counted struct {
	tokens int
	asked  *int
}

func (c counted) Exceeds(_ Tokenizer, limit int) bool {
	*c.asked++
	return c.tokens > limit
}

func checked(c *Candidate) { c.Tokenizer = never{} }

func longest(input int) func(*Candidate) { return func(c *Candidate) { c.MaxInput = input } }

func answers(output int) func(*Candidate) { return func(c *Candidate) { c.MaxOutput = output } }

func in(region string) func(*Candidate) { return func(c *Candidate) { c.Region = region } }

func TestFits(t *testing.T) {
	for _, test := range []struct {
		name                  string
		c                     *Candidate
		bytes, tokens, output int
		want                  bool
		asked                 int
	}{
		{"nothing is known", candidate("a", checked), 1e9, 1e9, 1e9, true, 0},
		{"a candidate that is not to be checked", candidate("a", window(100)), 1e9, 1e9, 1e9, true, 0},
		{"fewer bytes than the window has tokens", candidate("a", checked, window(100)), 100, 100, 0, true, 0},
		{"more bytes, and as many tokens", candidate("a", checked, window(100)), 101, 100, 0, true, 1},
		{"more tokens", candidate("a", checked, window(100)), 400, 101, 0, false, 1},
		{"the answer is added", candidate("a", checked, window(100)), 71, 71, 30, false, 1},
		{"the answer leaves room", candidate("a", checked, window(100)), 70, 70, 30, true, 0},
		{"the answer takes all", candidate("a", checked, window(100)), 1, 1, 100, false, 1},
		{"the answer takes more", candidate("a", checked, window(100)), 0, 0, 101, false, 0},
		{"the prompt alone", candidate("a", checked, longest(100)), 101, 100, 1000, true, 1},
		{"the prompt alone is too long", candidate("a", checked, longest(100)), 101, 101, 0, false, 1},
		{"both, of which the window is closer", candidate("a", checked, longest(100), window(120)), 95, 95, 30, false, 1},
		{"both, of which the prompt is closer", candidate("a", checked, longest(100), window(1200)), 101, 101, 30, false, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked := 0
			size := Size{Bytes: test.bytes, Output: test.output, Counter: counted{test.tokens, &asked}}
			if got := size.Fits(test.c); got != test.want || asked != test.asked {
				t.Errorf("got %t after %d counts, want %t after %d", got, asked, test.want, test.asked)
			}
		})
	}
	t.Run("nobody counts", func(t *testing.T) {
		size := Size{Bytes: 500}
		if !size.Fits(candidate("a", checked, window(100))) {
			t.Error("got false, want what cannot be counted to pass")
		}
	})
}

func TestRoom(t *testing.T) {
	for _, test := range []struct {
		name         string
		c            *Candidate
		output       int
		window, room int
		known        bool
	}{
		{"unknown", candidate("a"), 10, 0, math.MaxInt, false},
		{"a window", candidate("a", window(100)), 10, 100, 90, true},
		{"an answer that takes more", candidate("a", window(100)), 110, 100, 0, true},
		{"the prompt alone", candidate("a", longest(100)), 10, 100, 100, true},
		{"both", candidate("a", longest(100), window(120)), 30, 100, 90, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			size := Size{Output: test.output}
			room, known := size.Room(test.c)
			if got := test.c.Window(); got != test.window || room != test.room || known != test.known {
				t.Errorf("got a window of %d with room for %d, %t; want %d, %d, %t", got, room, known, test.window, test.room, test.known)
			}
		})
	}
}

func TestRegionsAndOutputs(t *testing.T) {
	for _, test := range []struct {
		name    string
		regions []string
		output  int
		want    string
		reasons string // of those that are out
	}{
		{"anything goes", nil, 0, "abcd", ""},
		{"a region", []string{"us"}, 0, "b", "region region region"},
		{"several regions", []string{"eu", "us"}, 0, "abc", "region"},
		{"another region", []string{"asia"}, 0, "", "region region region region"},
		{"a long answer", nil, 50, "bcd", "max_output"},
		{"one that nobody is known to give", nil, 500, "d", "max_output max_output max_output"},
		{"one that nobody of the region gives", []string{"eu"}, 500, "ac", "region region"},
		{"one that somebody of the region gives", []string{"eu"}, 50, "c", "max_output region region"},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := []*Candidate{
				candidate("a", in("eu"), answers(10)), candidate("b", in("us"), answers(100)),
				candidate("c", in("eu"), answers(100)), candidate("d"),
			}
			q := Query{Now: noon, Regions: test.regions, Size: Size{Output: test.output}}
			q.AskFor(all)
			var reasons []string
			for _, c := range all {
				if reason := q.Check(c); reason != Usable {
					if !reason.Lasts() {
						t.Errorf("%s: the reason %q passes, want it to last", c.ID, reason)
					}
					reasons = append(reasons, reason.String())
				}
			}
			got, out := ids(q.Filter(nil, all)), strings.Join(reasons, " ")
			if got != test.want || out != test.reasons {
				t.Errorf("usable %q, out for %q; want %q, out for %q", got, out, test.want, test.reasons)
			}
		})
	}
}

// A candidate that gives long answers and does not hold the prompt keeps nobody else
// out.
func TestLongAnswersOfWhatIsTooSmall(t *testing.T) {
	asked := 0
	for _, test := range []struct {
		name   string
		tokens int
		want   string
	}{
		{"it holds the prompt", 9, "b"},
		{"it does not", 50, "a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := []*Candidate{candidate("a", checked, longest(100), answers(10)), candidate("b", checked, longest(9), answers(100))}
			q := Query{Now: noon, Size: Size{Bytes: 4 * test.tokens, Output: 50, Counter: counted{test.tokens, &asked}}}
			q.AskFor(all)
			if got := ids(q.Filter(nil, all)); got != test.want {
				t.Errorf("usable %q, want %q", got, test.want)
			}
		})
	}
}

func TestMay(t *testing.T) {
	asked := 0
	for _, test := range []struct {
		name  string
		c     *Candidate
		query Query
		want  bool
	}{
		{"nothing is known", candidate("a"), Query{}, true},
		{"nothing is known where it must be, in the pool that was left", candidate("a"), Query{KnownWindow: true, AboveWindow: 8}, true},
		{"no larger than what refused it", candidate("a", window(8)), Query{AboveWindow: 8}, false},
		{"larger", candidate("a", window(9)), Query{AboveWindow: 8}, true},
		{"too small", candidate("a", checked, window(8)), Query{Size: Size{Bytes: 90, Counter: counted{9, &asked}}}, false},
		{"large enough", candidate("a", checked, window(9)), Query{Size: Size{Bytes: 90, Counter: counted{9, &asked}}}, true},
		{"another region", candidate("a", in("us")), Query{Regions: []string{"eu"}}, false},
		{"cooling, which passes", candidate("a", cool), Query{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.query.May(test.c); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// Sizes and regions that are known cost little, and no memory.
func BenchmarkFilterBySizeAndRegion(b *testing.B) {
	for _, n := range []int{10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all := benchCandidates(n)
			for _, c := range all {
				c.Region, c.ContextWindow, c.MaxOutput, c.Tokenizer = "eu", 128_000, 16_000, never{}
			}
			scratch, regions := make([]*Candidate, 0, n), []string{"eu"}
			b.ReportAllocs()
			for b.Loop() {
				q := Query{Now: noon, Regions: regions, Size: Size{Bytes: 4000, Output: 1000}}
				q.AskFor(all)
				if len(q.Filter(scratch, all)) != n {
					b.Fatal("some are out")
				}
			}
		})
	}
}
