package cli

import (
	"encoding/json"
	"io"
	"math"
	"time"
)

// jsonPrinter prints one JSON object a line. The member "type" says which kind:
// request, event or summary.
type jsonPrinter struct{ out io.Writer }

type requestLine struct {
	Type       string    `json:"type"`
	Request    int       `json:"request"`
	Time       time.Time `json:"time"`
	OK         bool      `json:"ok"`
	Status     int       `json:"status"`
	Model      string    `json:"model,omitempty"`
	Pool       string    `json:"pool,omitempty"`
	Deployment string    `json:"deployment,omitempty"`
	Attempts   *int      `json:"attempts,omitempty"`
	Fallbacks  *int      `json:"fallbacks,omitempty"`
	LatencyMS  float64   `json:"latency_ms"`
	FirstToken float64   `json:"first_token_ms,omitempty"`
	Change     change    `json:"change,omitempty"`
	Error      string    `json:"error,omitempty"`
}

func (p jsonPrinter) result(n int, r *result, what change, _ server) {
	p.print(requestLine{
		Type: "request", Request: n, Time: r.Time, OK: r.ok(), Status: r.Status,
		Model: r.Model, Pool: r.Pool, Deployment: r.Deployment, Attempts: r.Attempts, Fallbacks: r.Fallbacks,
		LatencyMS: milliseconds(r.Latency), FirstToken: milliseconds(r.FirstToken), Change: what, Error: r.Err,
	})
}

type eventLine struct {
	Type    string    `json:"type"`
	Event   string    `json:"event"`
	Time    time.Time `json:"time"`
	Message string    `json:"message"`
}

func (p jsonPrinter) note(event, sentence string) {
	p.print(eventLine{Type: "event", Event: event, Time: time.Now(), Message: sentence})
}

type summaryLine struct {
	Type       string        `json:"type"`
	Requests   int           `json:"requests"`
	Succeeded  int           `json:"succeeded"`
	Failed     int           `json:"failed"`
	Failovers  int           `json:"failovers"`
	Recoveries int           `json:"recoveries"`
	Shifts     int           `json:"shifts"`
	LongestMS  float64       `json:"longest_latency_ms"`
	FirstToken float64       `json:"longest_first_token_ms,omitempty"`
	Served     []servedCount `json:"served"`
}

type servedCount struct {
	Model      string `json:"model,omitempty"`
	Pool       string `json:"pool,omitempty"`
	Deployment string `json:"deployment,omitempty"`
	Requests   int    `json:"requests"`
}

func (p jsonPrinter) summary(s *summary) {
	line := summaryLine{
		Type: "summary", Requests: s.Requests, Succeeded: s.Succeeded, Failed: s.Failed(),
		Failovers: s.Failovers, Recoveries: s.Recoveries, Shifts: s.Shifts,
		LongestMS: milliseconds(s.Longest), FirstToken: milliseconds(s.FirstToken),
		Served: make([]servedCount, 0, len(s.Served)),
	}
	for _, e := range s.Served {
		line.Served = append(line.Served, servedCount{e.Server.Model, e.Server.Pool, e.Server.Deployment, e.Count})
	}
	p.print(line)
}

func (p jsonPrinter) print(line any) {
	out := json.NewEncoder(p.out)
	out.SetEscapeHTML(false)
	_ = out.Encode(line) // the terminal's error would come again with the next line
}

func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(100*time.Microsecond)) / 10
}
