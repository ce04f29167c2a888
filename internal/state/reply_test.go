package state

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseMinute(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want minuteReply
		err  error
	}{
		"an empty minute":     {"ok 1700000000000000 0", minuteReply{ok: true, at: 1700000000000000}, nil},
		"a minute":            {"ok 5 2 60 1 -20 3 0 7", minuteReply{ok: true, at: 5, foreign: 2, minute: []Spent{spent(60, 1, -20), spent(3, 0, 7)}}, nil},
		"full":                {"full 5 0 60999999", minuteReply{at: 5, wait: 60999999 * time.Microsecond}, nil},
		"late":                {"late", minuteReply{}, errLate},
		"foreign":             {"foreign", minuteReply{}, ErrForeign},
		"nothing":             {"", minuteReply{}, ErrForeign},
		"another word":        {"good 5 0", minuteReply{}, ErrForeign},
		"no time":             {"ok", minuteReply{}, ErrForeign},
		"a negative time":     {"ok -5 0", minuteReply{}, ErrForeign},
		"half an entry":       {"ok 5 0 60 1", minuteReply{}, ErrForeign},
		"ages that go up":     {"ok 5 0 3 1 1 60 1 1", minuteReply{}, ErrForeign},
		"an age twice":        {"ok 5 0 3 1 1 3 1 1", minuteReply{}, ErrForeign},
		"too old":             {"ok 5 0 61 1 1", minuteReply{}, ErrForeign},
		"too much":            {"ok 5 0 60 1 1000000000000001", minuteReply{}, ErrForeign},
		"more than a number":  {"ok 5 0 60 1 99999999999999999999", minuteReply{}, ErrForeign},
		"a fraction":          {"ok 5 0 60 1 1.5", minuteReply{}, ErrForeign},
		"a wait of nothing":   {"full 5 0 0", minuteReply{}, ErrForeign},
		"a wait too long":     {"full 5 0 61000001", minuteReply{}, ErrForeign},
		"a wait and more":     {"full 5 0 5 5", minuteReply{}, ErrForeign},
		"more than a reply":   {"ok 5 0 " + strings.Repeat("60 1 1 ", 2000), minuteReply{}, ErrForeign},
		"blanks in the wrong": {"ok  5 0", minuteReply{}, ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseMinute(test.text, nil)
			if !errors.Is(err, test.err) {
				t.Fatalf("got error %v, want %v", err, test.err)
			}
			if got.ok != test.want.ok || got.at != test.want.at || got.foreign != test.want.foreign ||
				got.wait != test.want.wait || !slices.Equal(got.minute, test.want.minute) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func FuzzMinute(f *testing.F) {
	for _, seed := range []string{"ok 1700000000000000 0 60 1 -20 3 0 7", "full 5 0 60999999", "late", "foreign", "ok 5 0 60 1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseMinute(text, nil)
		if err != nil {
			return
		}
		if r.wait < 0 || r.wait > minuteBuckets*time.Second || r.at < 0 || len(r.minute) > minuteBuckets {
			t.Fatalf("got %+v of %q", r, text)
		}
		last := int64(minuteBuckets)
		for _, s := range r.minute {
			if s.Age < 0 || s.Age >= last || math.Abs(float64(s.Requests)) > maxCount || math.Abs(float64(s.Tokens)) > maxCount {
				t.Fatalf("got %+v of %q", s, text)
			}
			last = s.Age
		}
	})
}
