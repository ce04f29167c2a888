package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// printer shows what happens as it happens.
type printer interface {
	// result shows request number n, counted from 1.
	result(n int, r *result, what change, before server)
	// note shows something that is not a request: an event's name for programs,
	// and a sentence for people.
	note(event, sentence string)
	// summary comes last.
	summary(s *summary)
}

// newPrinter makes the printer for out: of JSON lines, or of text, in color
// where out is a terminal and NO_COLOR is not set.
func newPrinter(out io.Writer, asJSON, streaming bool) printer {
	if asJSON {
		return jsonPrinter{out}
	}
	return &textPrinter{out: out, color: wantsColor(out, os.Getenv("NO_COLOR")), streaming: streaming}
}

// wantsColor follows no-color.org: any value of the variable turns color off.
func wantsColor(out io.Writer, noColor string) bool {
	file, ok := out.(*os.File)
	return ok && noColor == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// The terminal's colors. They only repeat what the words say.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

// textPrinter prints a table with one line per request.
type textPrinter struct {
	out       io.Writer
	color     bool
	streaming bool
	headed    bool // the head of the table is printed
}

// columns are the heads of the table and the least width of each column in
// characters.
var columns = []struct {
	head  string
	width int
}{
	{"TIME", 8},
	{"STATUS", 6},
	{"MODEL", 12},
	{"POOL", 12},
	{"DEPLOYMENT", 12},
	{"ATTEMPTS", 8},
	{"FALLBACKS", 9},
	{"LATENCY", 8},
	{"FIRST TOKEN", 11},
}

func (p *textPrinter) result(_ int, r *result, what change, before server) {
	if !p.headed {
		p.headed = true
		heads := make([]string, len(columns))
		for i, column := range columns {
			heads[i] = column.head
		}
		fmt.Fprintln(p.out, p.row(heads))
	}
	cells := []string{
		r.Time.Format("15:04:05"), statusCell(r), orDash(r.Model), orDash(r.Pool), orDash(r.Deployment),
		count(r.Attempts), count(r.Fallbacks), brief(r.Latency), "-",
	}
	if r.FirstToken > 0 {
		cells[len(cells)-1] = brief(r.FirstToken)
	}
	line := p.row(cells)
	if words, color := remark(r, what, before); words != "" {
		line += "  " + p.paint(color, words)
	}
	fmt.Fprintln(p.out, line)
}

// row fills the columns up to their widths.
func (p *textPrinter) row(cells []string) string {
	if !p.streaming {
		cells = cells[:len(cells)-1]
	}
	var line strings.Builder
	for i, cell := range cells {
		if i > 0 {
			line.WriteString("  ")
		}
		fmt.Fprintf(&line, "%-*s", columns[i].width, cell)
	}
	return strings.TrimRight(line.String(), " ")
}

func statusCell(r *result) string {
	if r.Status == 0 {
		return "none"
	}
	return strconv.Itoa(r.Status)
}

func count(n *int) string {
	if n == nil {
		return "-"
	}
	return strconv.Itoa(*n)
}

// remark is what a line says beyond its columns.
func remark(r *result, what change, before server) (words, color string) {
	now := r.server().String()
	switch {
	case !r.ok():
		return "FAILED: " + r.Err, red
	case what == failover:
		words = "FAILOVER to " + now
		if before != (server{}) {
			words = "FAILOVER from " + before.String() + " to " + now
		}
		if r.Attempts != nil && *r.Attempts > 1 {
			words += " within the request"
		}
		return words, yellow
	case what == recovery:
		return "RECOVERY, back to " + now, green
	case what == shift:
		return "another deployment than before", ""
	}
	return "", ""
}

func (p *textPrinter) note(_, sentence string) {
	fmt.Fprintln(p.out, p.paint(bold, "-- "+sentence))
}

func (p *textPrinter) summary(s *summary) {
	fmt.Fprintln(p.out)
	s.write(p.out)
}

func (p *textPrinter) paint(color, words string) string { return paint(p.color, color, words) }

// paint colors words, where color is wanted.
func paint(wanted bool, color, words string) string {
	if !wanted || color == "" {
		return words
	}
	return color + words + plain
}
