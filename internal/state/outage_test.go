package state

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// requireOnce checks what an operator was told of one outage.
func (w *watched) requireOnce(t testing.TB) {
	t.Helper()
	if downs, ups, foreign := w.seen(); downs != 1 || ups != 1 || foreign != 0 {
		t.Errorf("got %d warnings, %d all-clears and %d foreign values (%v), want 1, 1 and 0", downs, ups, foreign, w.last)
	}
}

// requireAtOnce checks that nobody waits for a Redis that is known to be away.
func requireAtOnce(t testing.TB, link Link) {
	t.Helper()
	if _, _, err := link.Reserve(t.Context(), 1, 0, 1); !errors.Is(err, ErrDown) {
		t.Errorf("got %v from Reserve, want %v", err, ErrDown)
	}
	if _, err := link.Lead(t.Context(), time.Minute); !errors.Is(err, ErrDown) {
		t.Errorf("got %v from Lead, want %v", err, ErrDown)
	}
}

func TestOutages(t *testing.T) {
	for name, outage := range map[string]struct {
		begin, end func(*testing.T, *redistest.Server)
	}{
		"frozen": {
			func(t *testing.T, s *redistest.Server) { s.Freeze(t) },
			func(t *testing.T, s *redistest.Server) { s.Thaw(t) },
		},
		"killed": {
			func(t *testing.T, s *redistest.Server) { s.Kill() },
			func(t *testing.T, s *redistest.Server) { s.Restart(t) },
		},
		"full": {
			func(t *testing.T, s *redistest.Server) { s.Do(t, "CONFIG", "SET", "maxmemory", "1") },
			func(t *testing.T, s *redistest.Server) { s.Do(t, "CONFIG", "SET", "maxmemory", "0") },
		},
		"a replica": {
			func(t *testing.T, s *redistest.Server) {
				s.Do(t, "REPLICAOF", "127.0.0.1", strconv.Itoa(redistest.FreePort(t)))
			},
			func(t *testing.T, s *redistest.Server) { s.Do(t, "REPLICAOF", "NO", "ONE") },
		},
		"a password": {
			func(t *testing.T, s *redistest.Server) {
				s.Do(t, "CONFIG", "SET", "requirepass", "secret")
				s.TryDo("CLIENT", "KILL", "TYPE", "normal")
				kickAll(t, s)
			},
			func(t *testing.T, s *redistest.Server) {
				c := plainClient(t, s.Addr())
				if err := c.Do(t.Context(), "AUTH", "secret").Err(); err != nil {
					t.Fatal(err)
				}
				c.Do(t.Context(), "CONFIG", "SET", "requirepass", "")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			a, b := open(t, addrs(server)), open(t, addrs(server))
			da, la := a.attach(t, "k")
			db, _ := b.attach(t, "k")
			da.use(1, 10)
			da.knows(t, 1, 10)
			db.knows(t, 1, 10)

			outage.begin(t, server)
			for range 5 {
				da.use(1, 10)
			}
			a.waitDown(t)
			db.use(2, 20)
			b.waitDown(t)
			requireAtOnce(t, la)
			la.Cooled(retry.RateLimit, time.Minute)

			outage.end(t, server)
			a.waitUp(t)
			b.waitUp(t)
			before := int64(1) // what the server knew before it went
			if name == "killed" {
				before = 0
			}
			da.knows(t, before+7, 10*(before+7))
			db.knows(t, before+7, 10*(before+7))
			redistest.WaitFor(t, "the cooldown to arrive", func() bool { _, n, _ := db.times(); return n > 0 })
			if _, n, _ := db.times(); n != 1 || db.class != retry.RateLimit {
				t.Errorf("got %d cooldowns of %v, want one of %v", n, db.class, retry.RateLimit)
			}
			a.requireOnce(t)
			b.requireOnce(t)
		})
	}
}

// kickAll makes clients connect anew.
func kickAll(t testing.TB, s *redistest.Server) {
	t.Helper()
	c := plainClient(t, s.Addr())
	c.Do(t.Context(), "AUTH", "secret")
	c.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	c.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
}

func TestDownAtStart(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	s := open(t, addrs(server))
	d, link := s.attach(t, "k")
	s.waitDown(t)
	requireAtOnce(t, link)
	for range 20 {
		d.use(1, 1)
	}
	server.Restart(t)
	d.knows(t, 20, 20)
	s.requireOnce(t)
}

// What an operator is told says nothing of the password.
func TestAWrongPasswordIsNotRepeated(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "right")
	o, err := ParseURLs([]string{"redis://:hunter2@" + server.Addr()}, false)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, o)
	s.attach(t, "k")
	s.waitDown(t)
	if last := s.warning(t); strings.Contains(last.Error(), "hunter2") || !strings.Contains(last.Error(), "WRONGPASS") {
		t.Errorf("got the warning %v, want one of a wrong password, without it", last)
	}
}

func TestForeignValues(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, addrs(server))
	c := plainClient(t, server.Addr())
	key := func(d, of string) string { return "llm_router:{" + d + "}:" + of }
	c.Set(t.Context(), key("text", "use"), "mine", 0)
	c.HSet(t.Context(), key("fields", "use"), "r99", "x", "nonsense", "1", "t5", "1e300", "rx", "1", "bx", "y", "r"+strconv.FormatInt(time.Now().Unix(), 10), "nan")
	for i := range 1100 {
		c.HSet(t.Context(), key("crowded", "use"), "f"+strconv.Itoa(i), "1")
	}
	for i, value := range []string{"", "x", "1 a 1 cooldown 1000000000000 rate_limit", "1 a 1 cooldown -5 rate_limit", "1 a 1 cooldown 5000 bad_request", strings.Repeat("1 ", 5000)} {
		d := "cool" + strconv.Itoa(i)
		c.Set(t.Context(), key(d, "cool"), value, time.Hour)
		c.Set(t.Context(), key(d, "health"), value, time.Hour)
	}
	c.Set(t.Context(), key("cool0", "cool"), "1 a 1 cooldown 5000 rate_limit", 0) // without an end
	c.RPush(t.Context(), key("cool6", "cool"), "x")
	c.RPush(t.Context(), key("cool6", "health"), "x")
	c.RPush(t.Context(), key("cool6", "lead"), "x")

	var all []*deployment
	links := make(map[string]Link)
	for _, name := range []string{"text", "fields", "crowded", "cool0", "cool1", "cool2", "cool3", "cool4", "cool5", "cool6"} {
		d, link := s.attach(t, name)
		d.use(1, 10)
		all, links[name] = append(all, d), link
	}
	for _, text := range []string{"", "x", "1 a 1 cooldown 5000 rate_limit", "2 a 1 cooldown 5000 rate_limit cool0", strings.Repeat("x", 1<<16)} {
		c.Publish(t.Context(), "llm_router:events", text)
	}
	for i, d := range all {
		if i != 0 && i != 2 { // whose keys are not usable at all
			d.knows(t, 1, 10)
		}
	}
	for _, name := range []string{"text", "crowded"} {
		if _, _, err := links[name].Reserve(t.Context(), 1, 0, 1); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: got %v, want %v", name, err, ErrForeign)
		}
	}
	if _, err := links["cool6"].Lead(t.Context(), time.Minute); !errors.Is(err, ErrForeign) {
		t.Errorf("got %v, want %v", err, ErrForeign)
	}
	for _, d := range all {
		if _, cooled, restored := d.times(); cooled+restored != 0 {
			t.Errorf("got %d cooldowns and %d ends, want none", cooled, restored)
		}
	}
	if got := s.Stats().Foreign; got < 20 {
		t.Errorf("got %d foreign values counted, want more", got)
	}
	if downs, _, foreign := s.seen(); downs != 0 || foreign != 1 || !s.Up() {
		t.Errorf("got %d outages and %d warnings, want none and one", downs, foreign)
	}
	// It mends itself where the key is ours to write, and where somebody mends it.
	c.Del(t.Context(), key("text", "use"))
	all[0].knows(t, 1, 10)
}

// slowLane passes bytes on, the answers after a while.
type slowLane struct {
	ln    net.Listener
	to    string
	delay atomic.Int64
}

func newSlowLane(t testing.TB, to string) *slowLane {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	l := &slowLane{ln: ln, to: to}
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			go l.serve(in)
		}
	}()
	return l
}

func (l *slowLane) serve(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		_, _ = io.Copy(out, in)
		out.Close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := out.Read(buf)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(l.delay.Load()))
		if _, err := in.Write(buf[:n]); err != nil {
			return
		}
	}
}

// A Redis that answers, but too late for those that wait, is left alone by
// reservations until it is quick again; everything else goes on.
func TestSlowRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	lane := newSlowLane(t, server.Addr())
	s := open(t, Options{Addrs: []string{lane.ln.Addr().String()}, Strict: true, Timeout: 30 * time.Millisecond})
	d, link := s.attach(t, "k")
	d.use(1, 1)
	d.knows(t, 1, 1)
	lane.delay.Store(int64(100 * time.Millisecond))
	redistest.WaitFor(t, "reservations to fail at once", func() bool {
		_, _, err := link.Reserve(t.Context(), 1000, 0, 1)
		return errors.Is(err, ErrDown)
	})
	redistest.WaitFor(t, "the end of the pause", func() bool {
		s.breaker.mu.Lock()
		defer s.breaker.mu.Unlock()
		return time.Now().After(s.breaker.until)
	})
	told, _, _ := d.times()
	redistest.WaitFor(t, "good rounds after it", func() bool { now, _, _ := d.times(); return now > told+2 })
	requireAtOnce(t, link)
	before, _ := d.sums()
	d.use(100, 0)
	redistest.WaitFor(t, "what was used", func() bool { now, _ := d.sums(); return now >= before+100 })
	if downs, ups, _ := s.seen(); downs != 1 || ups != 0 {
		t.Errorf("got %d warnings and %d all-clears, want one and none", downs, ups)
	}
	lane.delay.Store(0)
	s.waitUp(t)
	s.requireOnce(t)
	if _, _, err := link.Reserve(t.Context(), 1000, 0, 1); err != nil {
		t.Errorf("got %v, want a verdict again", err)
	}
}
