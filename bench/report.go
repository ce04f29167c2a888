package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report prints a table: medians of all rounds, and for ratios to the reference the
// medians of those within a round.
func report(w io.Writer, samples []sample, reference string) {
	if len(samples) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "scenario\tproxy\tCPU\tratio\tp50\tp99\tratio\tmemory\tratio\tper second\t")
	cpu := func(s *sample) float64 { return float64(s.cpu) }
	p50 := func(s *sample) float64 { return float64(s.p50) }
	p99 := func(s *sample) float64 { return float64(s.p99) }
	rss := func(s *sample) float64 { return float64(s.rss) }
	rate := func(s *sample) float64 { return s.perSecond }
	for i := range scenarios {
		s := &scenarios[i]
		for _, proxy := range proxiesOf(samples, s.name) {
			of := func(value func(*sample) float64) float64 { return typical(samples, s.name, proxy, value) }
			to := func(value func(*sample) float64) string {
				return number(ratio(samples, s.name, proxy, reference, value), "%.2f")
			}
			fmt.Fprintln(table, strings.Join([]string{
				s.name + "/" + s.unit(), proxy,
				span(of(cpu)), to(cpu), span(of(p50)), span(of(p99)), to(p99), size(of(rss)), to(rss), number(of(rate), "%.0f"), "",
			}, "\t"))
		}
	}
	table.Flush()
}

// proxiesOf are the proxies that were measured in a scenario, in their order of the
// first round.
func proxiesOf(samples []sample, scenario string) (names []string) {
	for i := range samples {
		if s := &samples[i]; s.scenario == scenario && !slices.Contains(names, s.proxy) {
			names = append(names, s.proxy)
		}
	}
	return names
}

// typical is the median of a value over all rounds, 0 without any.
func typical(samples []sample, scenario, proxy string, value func(*sample) float64) float64 {
	var all []float64
	for i := range samples {
		if s := &samples[i]; s.scenario == scenario && s.proxy == proxy {
			all = append(all, value(s))
		}
	}
	return median(all)
}

// ratio is the median of a value's ratios to that of another proxy in the same round,
// 0 without any.
func ratio(samples []sample, scenario, proxy, reference string, value func(*sample) float64) float64 {
	if proxy == reference {
		return 0
	}
	var all []float64
	for i := range samples {
		s := &samples[i]
		if s.scenario != scenario || s.proxy != proxy {
			continue
		}
		for j := range samples {
			if r := &samples[j]; r.scenario == scenario && r.proxy == reference && r.round == s.round && value(r) > 0 {
				all = append(all, value(s)/value(r))
			}
		}
	}
	return median(all)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2
	}
	return values[middle]
}

// number is a value that was measured, or a dash.
func number(value float64, format string) string {
	if value == 0 {
		return "-"
	}
	return fmt.Sprintf(format, value)
}

// span is a time in nanoseconds.
func span(value float64) string {
	d := time.Duration(value)
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Microsecond:
		return d.Round(10 * time.Nanosecond).String()
	case d < 10*time.Millisecond:
		return d.Round(time.Microsecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

// size is a number of bytes.
func size(value float64) string {
	if value >= 1<<20 {
		return number(value/(1<<20), "%.1f MiB")
	}
	return number(value/(1<<10), "%.1f KiB")
}
