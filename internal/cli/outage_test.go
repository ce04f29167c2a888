package cli

import (
	"net"
	"slices"
	"testing"
	"time"
)

// recorder keeps what a printer is told.
type recorder struct {
	events  []string
	results []result
	changes []change
	sum     *summary
}

func (r *recorder) note(event, _ string) { r.events = append(r.events, event) }
func (r *recorder) summary(s *summary)   { r.sum = s }
func (r *recorder) result(_ int, res *result, what change, _ server) {
	r.results, r.changes = append(r.results, *res), append(r.changes, what)
}

func TestOutage(t *testing.T) {
	tests := []struct {
		name               string
		downAfter, upAfter int
		want               string // per request: whether the primary is up
		events             []string
	}{
		{"in the middle", 2, 4, "++--++", []string{"primary_down", "primary_up"}},
		{"from the start", 0, 1, "-+++++", []string{"primary_down", "primary_up"}},
		{"to the end", 5, 6, "+++++-", []string{"primary_down"}},
		{"never", 6, 7, "++++++", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := new(recorder)
			o := outage{primary: startedModel(t), printer: rec, downAfter: tt.downAfter, upAfter: tt.upAfter, cooldown: time.Second}
			var got []byte
			for n := range len(tt.want) {
				o.before(n + 1)
				if o.primary.running() {
					got = append(got, '+')
				} else {
					got = append(got, '-')
				}
			}
			if string(got) != tt.want || !slices.Equal(rec.events, tt.events) {
				t.Errorf("got %s with %v, want %s with %v", got, rec.events, tt.want, tt.events)
			}
		})
	}
}

// Between down and up another process may take the port; the primary comes back
// as soon as it is free.
func TestOutageEndsWhenThePortIsFree(t *testing.T) {
	rec := new(recorder)
	o := outage{primary: startedModel(t), printer: rec, downAfter: 0, upAfter: 1}
	o.before(1)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", o.primary.address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	o.before(2)
	if o.primary.running() {
		t.Error("the primary runs on a port that is taken")
	}
	ln.Close()
	o.before(3)
	if want := []string{"primary_down", "primary_blocked", "primary_up"}; !o.primary.running() || !slices.Equal(rec.events, want) {
		t.Errorf("got running %v after %v, want it after %v", o.primary.running(), rec.events, want)
	}
}
