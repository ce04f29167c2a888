package cli

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func after(r result, latency, firstToken time.Duration) result {
	r.Latency, r.FirstToken = latency, firstToken
	return r
}

func TestSummary(t *testing.T) {
	a, b := by("llama-fp8", "primary", 1, 0), by("llama3", "backup", 2, 1)
	tests := []struct {
		name    string
		results []result
		changes []change
		want    string
	}{
		{"nothing", nil, nil, "No request was made.\n"},
		{
			"one",
			[]result{after(a, 23*time.Millisecond, 0)},
			[]change{noChange},
			"1 of 1 succeeded, 0 failed.\n" +
				"  llama-fp8  llama-fp8/primary  1 request\n" +
				"0 failovers, 0 recoveries. Longest latency 23ms.\n",
		},
		{
			"a failover and a recovery",
			[]result{after(a, 20*time.Millisecond, 0), after(b, 40*time.Millisecond, 0), b, after(a, 30*time.Millisecond, 0)},
			[]change{noChange, failover, noChange, recovery},
			"4 of 4 succeeded, 0 failed.\n" +
				"  llama-fp8  llama-fp8/primary  2 requests\n" +
				"  llama3     llama3/backup      2 requests\n" +
				"1 failover, 1 recovery. Longest latency 40ms.\n",
		},
		{
			"failures, the slowest request among them",
			[]result{after(failed("x"), 2*time.Second, 0), a},
			[]change{noChange, noChange},
			"1 of 2 succeeded, 1 failed.\n" +
				"  llama-fp8  llama-fp8/primary  1 request\n" +
				"0 failovers, 0 recoveries. Longest latency 2s.\n",
		},
		{
			"failures alone",
			[]result{failed("x")},
			[]change{noChange},
			"0 of 1 succeeded, 1 failed.\n0 failovers, 0 recoveries. Longest latency 0s.\n",
		},
		{
			"streams, and load that is shared",
			[]result{after(model("m"), 50*time.Millisecond, 11*time.Millisecond), after(model("m"), 40*time.Millisecond, 12*time.Millisecond)},
			[]change{noChange, shift},
			"2 of 2 succeeded, 0 failed.\n" +
				"  m  m  2 requests\n" +
				"0 failovers, 0 recoveries, 1 shift between deployments of a pool. " +
				"Longest latency 50ms, longest time to first token 12ms.\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s summary
			for i := range tt.results {
				s.add(&tt.results[i], tt.changes[i])
			}
			var out strings.Builder
			s.write(&out)
			if out.String() != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", out.String(), tt.want)
			}
		})
	}
}

// A server that names another model in each answer does not fill the memory.
func TestSummaryIsBounded(t *testing.T) {
	var s summary
	const requests = 3 * maxServers
	for i := range requests {
		r := model("m" + strconv.Itoa(i))
		s.add(&r, noChange)
	}
	total := 0
	for _, e := range s.Served {
		total += e.Count
	}
	if len(s.Served) != maxServers || total != requests {
		t.Errorf("got %d lines for %d requests, want %d for %d", len(s.Served), total, maxServers, requests)
	}
	if last := s.Served[maxServers-1]; last.Server.Model != "others" || last.Count != requests-maxServers+1 {
		t.Errorf("got %+v at the end, want the others together", last)
	}
}
