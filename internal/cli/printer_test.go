package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func at(r result) *result {
	r.Time, r.Latency = noon, 23*time.Millisecond
	return &r
}

// lastLine prints a result and gives its line, without the head of the table.
func lastLine(p *textPrinter, r *result, what change, before server) string {
	var out strings.Builder
	p.out = &out
	p.result(1, r, what, before)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	return lines[len(lines)-1]
}

// How columns are filled up is TestColumnsAlign's affair.
func TestTextLines(t *testing.T) {
	primary := server{Pool: "llama-fp8", Deployment: "primary"}
	backup := by("llama3", "backup", 2, 1)
	streamed := by("llama3", "backup", 1, 0)
	streamed.FirstToken = 5 * time.Millisecond
	tests := []struct {
		name      string
		streaming bool
		result    result
		change    change
		before    server
		want      string
	}{
		{
			"nothing new", false, by("llama-fp8", "primary", 1, 0), noChange, primary,
			"12:00:00 200 llama-fp8 llama-fp8 primary 1 0 23ms",
		},
		{
			"failover", false, backup, failover, primary,
			"12:00:00 200 llama3 llama3 backup 2 1 23ms" +
				" FAILOVER from llama-fp8/primary to llama3/backup within the request",
		},
		{
			"failover of somebody else's request", false, by("llama3", "backup", 1, 1), failover, primary,
			"12:00:00 200 llama3 llama3 backup 1 1 23ms" +
				" FAILOVER from llama-fp8/primary to llama3/backup",
		},
		{
			"failover in the first request", false, backup, failover,
			server{},
			"12:00:00 200 llama3 llama3 backup 2 1 23ms" +
				" FAILOVER to llama3/backup within the request",
		},
		{
			"recovery", false, by("llama-fp8", "primary", 1, 0), recovery,
			server{Pool: "llama3"},
			"12:00:00 200 llama-fp8 llama-fp8 primary 1 0 23ms" +
				" RECOVERY, back to llama-fp8/primary",
		},
		{
			"shared load", false, by("p", "b", 1, 0), shift,
			server{Pool: "p", Deployment: "a"},
			"12:00:00 200 p p b 1 0 23ms" +
				" another deployment than before",
		},
		{
			"failed with an answer", false, failed("too busy"), noChange,
			server{},
			"12:00:00 503 - p - - - 23ms FAILED: too busy",
		},
		{
			"failed without one", false,
			result{Err: "connection refused"},
			noChange,
			server{},
			"12:00:00 none - - - - - 23ms FAILED: connection refused",
		},
		{
			"a stream", true, streamed, noChange,
			server{},
			"12:00:00 200 llama3 llama3 backup 1 0 23ms 5ms",
		},
		{
			"no first token", true, failed("cut"), noChange,
			server{},
			"12:00:00 503 - p - - - 23ms - FAILED: cut",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &textPrinter{streaming: tt.streaming}
			got := strings.Join(strings.Fields(lastLine(p, at(tt.result), tt.change, tt.before)), " ")
			if got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestColumnsAlign(t *testing.T) {
	var out strings.Builder
	p := &textPrinter{out: &out, streaming: true}
	p.result(1, at(by("p", "a", 1, 0)), noChange, server{})
	p.result(2, at(by("p", "b", 2, 0)), noChange, server{})
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %d lines, want the head once and two more:\n%s", len(lines), out.String())
	}
	for head, cell := range map[string]string{"STATUS": "200", "DEPLOYMENT": "b", "ATTEMPTS": "2", "LATENCY": "23ms", "FIRST": "-"} {
		column := strings.Index(lines[0], head)
		if column < 0 || !strings.HasPrefix(lines[2][column:], cell+" ") && lines[2][column:] != cell {
			t.Errorf("%s does not stand above %q:\n%s", head, cell, out.String())
		}
	}
}

func TestColorRepeatsTheWords(t *testing.T) {
	r := at(by("q", "b", 2, 1))
	before := server{Pool: "p", Deployment: "a"}
	with, without := &textPrinter{color: true}, &textPrinter{}
	colored, bare := lastLine(with, r, failover, before), lastLine(without, r, failover, before)
	if !strings.Contains(colored, yellow+"FAILOVER") || !strings.HasSuffix(colored, plain) {
		t.Errorf("got %q, want the words in yellow", colored)
	}
	if stripped := strings.NewReplacer(yellow, "", plain, "").Replace(colored); stripped != bare {
		t.Errorf("got %q without colors, want %q", stripped, bare)
	}
}

func TestColorOnATerminalAlone(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if wantsColor(file, "") {
		t.Error("got color for a file")
	}
	if wantsColor(new(bytes.Buffer), "") {
		t.Error("got color for a buffer")
	}
	t.Setenv("TERM", "xterm")
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo terminal here")
	}
	defer terminal.Close()
	if !wantsColor(terminal, "") {
		t.Error("got no color for a terminal")
	}
	if wantsColor(terminal, "1") {
		t.Error("got color although NO_COLOR is set")
	}
	t.Setenv("TERM", "dumb")
	if wantsColor(terminal, "") {
		t.Error("got color for a dumb terminal")
	}
}

func TestJSONLines(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(&out, true, false)
	r := at(by("q", "b", 2, 1))
	p.result(7, r, failover, server{Pool: "p"})
	p.result(8, at(result{Err: "<cut>"}), noChange, server{})
	var s summary
	s.add(r, failover)
	p.summary(&s)
	want := `{"type":"request","request":7,"time":"2026-03-04T12:00:00Z","ok":true,"status":200,"model":"q","pool":"q",` +
		`"deployment":"b","attempts":2,"fallbacks":1,"latency_ms":23,"change":"failover"}
{"type":"request","request":8,"time":"2026-03-04T12:00:00Z","ok":false,"status":0,"latency_ms":23,"error":"<cut>"}
{"type":"summary","requests":1,"succeeded":1,"failed":0,"failovers":1,"recoveries":0,"shifts":0,"longest_latency_ms":23,` +
		`"served":[{"model":"q","pool":"q","deployment":"b","requests":1}]}
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	out.Reset()
	p.note("primary_up", "Up.")
	if got := out.String(); !strings.HasPrefix(got, `{"type":"event","event":"primary_up","time":"`) || !strings.HasSuffix(got, `"message":"Up."}`+"\n") {
		t.Errorf("got %s, want an event", got)
	}
}

func TestNotesStandOut(t *testing.T) {
	var out bytes.Buffer
	newPrinter(&out, false, false).note("primary_up", "The primary is up.")
	if want := "-- The primary is up.\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
