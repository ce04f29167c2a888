package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// maxServers bounds how many models and deployments a summary lists, since a
// server may name another one in each answer. The rest is counted together.
const maxServers = 100

// summary adds up what has been seen.
type summary struct {
	Requests   int
	Succeeded  int
	Failovers  int
	Recoveries int
	Shifts     int
	Longest    time.Duration // latency of the slowest request
	FirstToken time.Duration // the longest, of those that streamed
	Served     []served      // in the order in which they were seen first
}

// served is how many requests one model of one deployment has served.
type served struct {
	Server server
	Count  int
}

func (s *summary) Failed() int { return s.Requests - s.Succeeded }

func (s *summary) add(r *result, what change) {
	s.Requests++
	s.Longest = max(s.Longest, r.Latency)
	s.FirstToken = max(s.FirstToken, r.FirstToken)
	switch what {
	case failover:
		s.Failovers++
	case recovery:
		s.Recoveries++
	case shift:
		s.Shifts++
	}
	if !r.ok() {
		return
	}
	s.Succeeded++
	who := r.server()
	for i := range s.Served {
		if s.Served[i].Server == who {
			s.Served[i].Count++
			return
		}
	}
	if len(s.Served) < maxServers {
		s.Served = append(s.Served, served{who, 1})
		return
	}
	const others = "others"
	if s.Served[maxServers-1].Server.Model != others {
		s.Served[maxServers-1].Server = server{Model: others}
	}
	s.Served[maxServers-1].Count++
}

// write says it in words and a table.
func (s *summary) write(w io.Writer) {
	if s.Requests == 0 {
		fmt.Fprintln(w, "No request was made.")
		return
	}
	fmt.Fprintf(w, "%d of %d succeeded, %d failed.\n", s.Succeeded, s.Requests, s.Failed())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range s.Served {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", orDash(e.Server.Model), e.Server, plural(e.Count, "request"))
	}
	_ = table.Flush() // the terminal's error would come again with the next line
	fmt.Fprintf(w, "%s, %s", plural(s.Failovers, "failover"), plural(s.Recoveries, "recovery"))
	if s.Shifts > 0 {
		fmt.Fprintf(w, ", %s between deployments of a pool", plural(s.Shifts, "shift"))
	}
	fmt.Fprintf(w, ". Longest latency %s", brief(s.Longest))
	if s.FirstToken > 0 {
		fmt.Fprintf(w, ", longest time to first token %s", brief(s.FirstToken))
	}
	fmt.Fprintln(w, ".")
}
