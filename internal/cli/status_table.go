package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"github.com/llmrouter/caddy-llm-router/internal/status"
)

// statusTable lays a status out: a line for each pool, and below it one for each
// of its deployments. Columns are as wide as they need to be.
type statusTable struct {
	status *status.Status
	heads  []statusColumn
	widths []int
}

// statusColumn is what stands in one column of deployments.
type statusColumn struct {
	head string
	cell func(*status.Deployment) string
	left bool // words stand to the left, numbers to the right
	// optional columns are left out where no deployment has anything in them.
	optional bool
}

const (
	maxStatusName = 32  // characters of a name or a reason that are shown
	nothing       = "-" // in a cell, for what is not known or not limited
	stateColumn   = "STATE"
)

var statusColumns = []statusColumn{
	{head: "DEPLOYMENT", cell: func(d *status.Deployment) string { return "  " + printable(d.ID, maxStatusName) }, left: true},
	{head: "ORDER", cell: func(d *status.Deployment) string { return strconv.Itoa(d.Order) }},
	{head: "WEIGHT", cell: func(d *status.Deployment) string { return strconv.FormatFloat(d.Weight, 'g', 4, 64) }},
	{head: stateColumn, cell: stateCell, left: true},
	{head: "IN FLIGHT", cell: inFlightCell},
	{head: "REQUESTS", cell: func(d *status.Deployment) string { return short(float64(d.Requests)) }},
	{head: "FAILED", cell: func(d *status.Deployment) string { return short(float64(d.Failures)) }},
	{head: "TTFT", cell: ttftCell},
	{head: "RPM", cell: func(d *status.Deployment) string { return limitCell(d.RPM) }, optional: true},
	{head: "TPM", cell: func(d *status.Deployment) string { return limitCell(d.TPM) }, optional: true},
}

func newStatusTable(s *status.Status) *statusTable {
	t := &statusTable{status: s}
	for _, column := range statusColumns {
		width, used := utf8.RuneCountInString(column.head), false
		for i := range s.Pools {
			for j := range s.Pools[i].Deployments {
				cell := column.cell(&s.Pools[i].Deployments[j])
				width, used = max(width, utf8.RuneCountInString(cell)), used || cell != nothing
			}
		}
		if used || !column.optional {
			t.heads, t.widths = append(t.heads, column), append(t.widths, width)
		}
	}
	return t
}

// print writes the table, or that there is nothing to show.
func (t *statusTable) print(out io.Writer, color bool) {
	if len(t.status.Pools) == 0 {
		fmt.Fprintln(out, "The running config has no llm_router.")
		return
	}
	fmt.Fprintln(out, t.line(func(column statusColumn) string { return column.head }, nil))
	for i := range t.status.Pools {
		pool := &t.status.Pools[i]
		fmt.Fprintln(out, paint(color, bold, poolLine(pool)))
		for j := range pool.Deployments {
			d := &pool.Deployments[j]
			fmt.Fprintln(out, t.line(
				func(column statusColumn) string { return column.cell(d) },
				func(padded string) string { return paint(color, stateColor(d.State), padded) }))
		}
	}
	switch redis := t.status.Redis; {
	case redis == nil:
	case redis.Up:
		fmt.Fprintln(out, "Redis: up")
	default:
		fmt.Fprintln(out, "Redis: "+paint(color, red, "down")+"; limits and cooldowns are those that this instance knows of")
	}
}

// line fills the columns up to their widths. Nil paintState leaves the state as
// it is; color comes after the filling, which counts characters.
func (t *statusTable) line(cell func(statusColumn) string, paintState func(string) string) string {
	cells := make([]string, len(t.heads))
	for i, column := range t.heads {
		text := cell(column)
		space := strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(text))
		if !column.left {
			text, space = space+text, ""
		}
		if column.head == stateColumn && paintState != nil {
			text = paintState(text)
		}
		cells[i] = text + space
	}
	return strings.TrimRight(strings.Join(cells, "  "), " ")
}

// poolLine is a pool's names, its strategy, and who waits for it.
func poolLine(pool *status.Pool) string {
	names := slices.Concat([]string{pool.Name}, pool.Aliases)
	for i, name := range names {
		names[i] = printable(name, maxStatusName)
	}
	line := strings.Join(names, ", ") + " (" + printable(pool.Strategy, maxStatusName) + ")"
	if pool.QueueDepth > 0 {
		line += ", " + plural(pool.QueueDepth, "request") + " waiting"
	}
	return line
}

// stateCell is the state, how much longer it lasts and what led to it.
func stateCell(d *status.Deployment) string {
	text := printable(string(d.State), maxStatusName)
	if d.CooldownRemainingMS > 0 {
		text += " " + brief(time.Duration(d.CooldownRemainingMS)*time.Millisecond)
	}
	if reason := printable(d.Reason, maxStatusName); reason != "" {
		text += " (" + reason + ")"
	}
	return text
}

func stateColor(s status.State) string {
	switch s {
	case status.Healthy:
		return green
	case status.Unhealthy, status.Cooling:
		return red
	}
	return yellow
}

func inFlightCell(d *status.Deployment) string {
	if d.MaxParallel <= 0 {
		return short(float64(d.InFlight))
	}
	return short(float64(d.InFlight)) + "/" + short(float64(d.MaxParallel))
}

func ttftCell(d *status.Deployment) string {
	if d.TTFTMS <= 0 {
		return nothing
	}
	return brief(time.Duration(d.TTFTMS * float64(time.Millisecond)))
}

func limitCell(l *status.Limit) string {
	if l == nil {
		return nothing
	}
	return short(l.Used) + "/" + short(l.Limit)
}

// short is a number of at most five digits, or with a unit.
func short(n float64) string {
	if n < 100_000 {
		return strconv.FormatFloat(n, 'f', 0, 64)
	}
	return strings.ReplaceAll(humanize.SIWithDigits(n, 1, ""), " ", "")
}
