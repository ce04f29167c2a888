package state

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// minuteOf runs the script on a server whose clock is the test's.
type minuteOf struct {
	t      *testing.T
	server *miniredis.Miniredis
	client *redis.Client
}

func newMinute(t *testing.T) *minuteOf {
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { client.Close() })
	return &minuteOf{t, server, client}
}

func (m *minuteOf) run(now time.Time, args ...any) (minuteReply, error) {
	m.t.Helper()
	m.server.SetTime(now)
	c := &call{script: minuteScript, key: "k", args: args}
	run(m.t.Context(), m.client, c)
	text, err := c.reply.Text()
	if err != nil {
		m.t.Fatal(err)
	}
	return parseMinute(text, nil)
}

func (m *minuteOf) must(now time.Time, args ...any) minuteReply {
	m.t.Helper()
	r, err := m.run(now, args...)
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

// reserve is a single request that must fit.
func (m *minuteOf) reserve(now time.Time, rpm, tpm, tokens int64) minuteReply {
	m.t.Helper()
	return m.must(now, reserveArgs("a", 0, rpm, tpm, tokens)...)
}

func (r minuteReply) sums() (requests, tokens int64) {
	for _, s := range r.minute {
		requests += s.Requests
		tokens += s.Tokens
	}
	return requests, tokens
}

// Under any load no sixty seconds, wherever they begin, hold more than the
// limits, but for a single request that is larger than a whole minute; the wait
// is the time after which a request fits, and not much longer.
func TestReservationsNeverOverstep(t *testing.T) {
	type use struct {
		at     time.Time
		tokens int64
	}
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := newMinute(t)
			rnd := rand.New(rand.NewPCG(seed, 5))
			rpm, tpm := 1+rnd.Int64N(20), rnd.Int64N(500)
			now, used, allowed := noon, []use{}, 0
			for range 400 {
				now = now.Add(time.Duration(rnd.Int64N(int64(4 * time.Second))))
				tokens := rnd.Int64N(120)
				r := m.reserve(now, rpm, tpm, tokens)
				if r.ok != (r.wait == 0) {
					t.Fatalf("got ok %v with a wait of %v", r.ok, r.wait)
				}
				if !r.ok && rnd.IntN(4) == 0 { // do as it says
					if r.wait > time.Second && m.reserve(now.Add(r.wait-time.Second-time.Microsecond), rpm, tpm, tokens).ok {
						t.Fatalf("fits more than a second before the wait of %v is over", r.wait)
					}
					now = now.Add(r.wait)
					if r = m.reserve(now, rpm, tpm, tokens); !r.ok {
						t.Fatalf("does not fit after the wait, but in %v", r.wait)
					}
				}
				if !r.ok {
					continue
				}
				allowed++
				used = append(used, use{now, tokens})
				for now.Sub(used[0].at) >= time.Minute {
					used = used[1:]
				}
				sum, positive := int64(0), 0
				for _, u := range used {
					if sum += u.tokens; u.tokens > 0 {
						positive++
					}
				}
				if int64(len(used)) > rpm || (tpm > 0 && sum > tpm && positive > 1) {
					t.Fatalf("%d requests with %d tokens in the minute before %v, limits %d and %d", len(used), sum, now, rpm, tpm)
				}
			}
			if allowed < 20 {
				t.Fatalf("only %d requests were let through: too few to say anything", allowed)
			}
		})
	}
}

func TestMinuteSlides(t *testing.T) {
	m := newMinute(t)
	m.must(noon, "a", 1, 0, 0, 0, 0, 1, 10, 5, 2, 20, 60, 4, 40)
	for _, step := range []struct {
		after            time.Duration
		requests, tokens int64
	}{
		{0, 7, 70},
		{time.Second, 3, 30},
		{55 * time.Second, 3, 30},
		{56 * time.Second, 1, 10},
		{60999 * time.Millisecond, 1, 10},
		{61 * time.Second, 0, 0},
	} {
		if r, n := m.must(noon.Add(step.after), "a", 0, 0, 0, 0).sums(); r != step.requests || n != step.tokens {
			t.Errorf("after %v: got %d requests and %d tokens, want %d and %d", step.after, r, n, step.requests, step.tokens)
		}
	}
	if fields, _ := m.server.HKeys("k"); len(fields) != 1 {
		t.Errorf("got the fields %v, want only the last batch", fields)
	}
}

func TestBatchesAreAddedOnce(t *testing.T) {
	m := newMinute(t)
	for _, step := range []struct {
		taker string
		batch int
		want  int64
	}{
		{"a", 1, 1}, {"a", 1, 1}, {"b", 1, 2}, {"a", 2, 3}, {"a", 1, 3}, {"a", 2, 3}, {"b", 1, 3}, {"b", 7, 4},
	} {
		if r, _ := m.must(noon, step.taker, step.batch, 0, 0, 0, 0, 1, 0).sums(); r != step.want {
			t.Errorf("batch %d of %s: got %d requests, want %d", step.batch, step.taker, r, step.want)
		}
	}
	late := noon.Add(200 * time.Second) // batches that nobody sends again are forgotten
	m.must(late, "c", 1, 0, 0, 0, 0, 1, 0)
	if fields, _ := m.server.HKeys("k"); len(fields) != 3 {
		t.Errorf("got the fields %v, want those of one batch", fields)
	}
}

func TestReservationsThatNobodyWaitsFor(t *testing.T) {
	m := newMinute(t)
	deadline := noon.Add(time.Second).UnixMicro()
	if _, err := m.run(noon.Add(time.Second+time.Microsecond), "a", 0, deadline, 5, 0, 0, 1, 1); err != errLate {
		t.Errorf("got %v, want %v", err, errLate)
	}
	if r := m.must(noon.Add(time.Second), "a", 0, deadline, 5, 0, 0, 1, 1); !r.ok {
		t.Error("got a refusal in time, want it to fit")
	}
	if r, _ := m.must(noon.Add(time.Second), "a", 0, 0, 0, 0).sums(); r != 1 {
		t.Errorf("got %d requests, want the one in time", r)
	}
}

// Foreign fields are dropped, and counted.
func TestForeignFields(t *testing.T) {
	m := newMinute(t)
	second := strconv.FormatInt(noon.Unix(), 10)
	for name, value := range map[string]string{
		"": "1", "r": "1", "rx": "1", "x" + second: "1", "r" + second: "x", "t" + second: "1.5", "t1e999": "1",
		"r" + second + "0": "1e300", "ba": "x", "bb": "1", "bc": "1 -1",
	} {
		m.server.HSet("k", name, value)
	}
	r := m.must(noon, "a", 1, 0, 0, 0, 0, 1, 10)
	if requests, tokens := r.sums(); r.foreign != 11 || requests != 1 || tokens != 10 {
		t.Errorf("got %d foreign fields, %d requests and %d tokens, want 11, 1 and 10", r.foreign, requests, tokens)
	}
	if r = m.must(noon, "a", 0, 0, 0, 0); r.foreign != 0 {
		t.Errorf("got %d foreign fields, want them gone", r.foreign)
	}
	for i := range 1000 {
		m.server.HSet("k", "f"+strconv.Itoa(i), "1")
	}
	if _, err := m.run(noon, "a", 0, 0, 0, 0); err != ErrForeign {
		t.Errorf("got %v of a crowded hash, want %v", err, ErrForeign)
	}
}

// When the clock of the server is set back, what was used counts as used now;
// a jump of more than a minute begins anew.
func TestClockOfTheServerSetBack(t *testing.T) {
	m := newMinute(t)
	m.must(noon, "a", 1, 0, 0, 0, 0, 3, 30)
	before := noon.Add(-30 * time.Second)
	for range 3 {
		if r, n := m.must(before, "a", 0, 0, 0, 0).sums(); r != 3 || n != 30 {
			t.Errorf("got %d requests and %d tokens, want 3 and 30", r, n)
		}
	}
	if r, _ := m.must(before.Add(61*time.Second), "a", 0, 0, 0, 0).sums(); r != 0 {
		t.Errorf("got %d requests after a minute, want none", r)
	}
	m.must(noon, "a", 2, 0, 0, 0, 0, 3, 30)
	if r, _ := m.must(noon.Add(-time.Hour), "a", 0, 0, 0, 0).sums(); r != 0 {
		t.Errorf("got %d requests of an hour to come, want none", r)
	}
}

func BenchmarkParseMinute(b *testing.B) {
	text := "ok 1700000000000000 0"
	for age := minuteBuckets - 1; age >= 0; age-- {
		text += fmt.Sprintf(" %d 123 45678", age)
	}
	var minute []Spent
	b.ReportAllocs()
	for b.Loop() {
		r, err := parseMinute(text, minute[:0])
		if err != nil {
			b.Fatal(err)
		}
		minute = r.minute
	}
}
