package cli

import (
	"strings"
	"testing"
	"time"
)

func TestPrintable(t *testing.T) {
	tests := []struct {
		name, in string
		limit    int
		want     string
	}{
		{"plain", "gpt-4o", 10, "gpt-4o"},
		{"other scripts", "模型 é", 10, "模型 é"},
		{"lines become spaces", "a\r\n\tb\n", 10, "a b"},
		{"escape sequences lose their escape", "\x1b[31mred\x1b[0m\x07", 20, "[31mred[0m"},
		{"C1 controls and direction marks", "a\u009bb\u202ec", 20, "abc"},
		{"not UTF-8", "a\xff\xfeb", 20, "ab"},
		{"as long as allowed", "1234567890", 10, "1234567890"},
		{"longer", "12345678901", 10, "1234567..."},
		{"longer in characters, not bytes", "ééééééééééé", 10, "ééééééé..."},
		{"endless", strings.Repeat("x", 1<<20), 10, "xxxxxxx..."},
		{"nothing printable", "\x00\x01", 10, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := printable(tt.in, tt.limit); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                     "0s",
		1234 * time.Microsecond:               "1.2ms",
		23456 * time.Microsecond:              "23ms",
		1234567 * time.Microsecond:            "1.23s",
		time.Minute + 1234567*time.Nanosecond: "1m0s",
	} {
		if got := brief(d); got != want {
			t.Errorf("%d ns: got %q, want %q", d, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	tests := []struct {
		n    int
		noun string
		want string
	}{
		{0, "failover", "0 failovers"},
		{1, "failover", "1 failover"},
		{2, "failover", "2 failovers"},
		{1, "recovery", "1 recovery"},
		{2, "recovery", "2 recoveries"},
	}
	for _, tt := range tests {
		if got := plural(tt.n, tt.noun); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
