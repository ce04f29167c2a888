package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
)

// patient does not give up early on a machine that is busy.
func patient(o Options) Options {
	o.Timeout = 20 * time.Second
	return o
}

// holds waits until a store finds a value under a key.
func (w *watched) holds(t testing.TB, key, want string) {
	t.Helper()
	redistest.WaitFor(t, "the value of "+key, func() bool {
		values, err := w.Values().Load(t.Context(), 100, key)
		return err == nil && string(values[0]) == want
	})
}

func TestValuesAreEverybodys(t *testing.T) {
	for name, servers := range map[string]func(*testing.T) []*redistest.Server{
		"one server": func(t *testing.T) []*redistest.Server { return []*redistest.Server{redistest.Start(t)} },
		"a Cluster":  func(t *testing.T) []*redistest.Server { return redistest.StartCluster(t, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			o := patient(addrs(servers(t)...))
			a, b := open(t, o), open(t, o)
			a.waitUp(t)
			var keys []string
			for i := range 10 { // on all nodes
				key := fmt.Sprint("k", i)
				keys = append(keys, key, "none"+key)
				a.Values().Keep(key, []byte("value of "+key), time.Minute)
				b.holds(t, key, "value of "+key)
			}
			values, err := b.Values().Load(t.Context(), 100, keys...)
			if err != nil {
				t.Fatal(err)
			}
			for i, key := range keys {
				if want := "value of " + key; string(values[i]) != want && (values[i] != nil || !strings.HasPrefix(key, "none")) {
					t.Errorf("%s: got %q, want %q or, of none, nothing", key, values[i], want)
				}
			}
		})
	}
}

func TestValuesEnd(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, patient(addrs(server)))
	s.waitUp(t)
	s.Values().Keep("k", []byte("x"), time.Hour)
	s.holds(t, "k", "x")
	left := server.Do(t, "TTL", DefaultPrefix+valuesKey+"k")
	if left != ":3600" && left != ":3599" {
		t.Errorf("got a time to live of %s, want an hour", left)
	}
	s.Values().Keep("k2", []byte("x"), 200*time.Millisecond)
	redistest.WaitFor(t, "the value to end", func() bool {
		return server.Do(t, "EXISTS", DefaultPrefix+valuesKey+"k2") == ":0" && len(s.keeper.waiting) == 0
	})
}

func TestValuesOfOthersKind(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, patient(addrs(server)))
	s.waitUp(t)
	server.Do(t, "SET", DefaultPrefix+valuesKey+"long", strings.Repeat("x", 1000))
	server.Do(t, "LPUSH", DefaultPrefix+valuesKey+"list", "x")
	server.Do(t, "SET", DefaultPrefix+valuesKey+"good", "good")
	values, err := s.Values().Load(t.Context(), 100, "long", "list", "good")
	if !errors.Is(err, ErrForeign) || values[0] != nil || values[1] != nil || string(values[2]) != "good" {
		t.Errorf("got %q and %v, want the good one alone, and %v", values, err, ErrForeign)
	}
	if !s.Up() {
		t.Error("the store is down because of a foreign value, want it up")
	}
}

func TestManyValuesAreLoadedInParts(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, patient(addrs(server)))
	s.waitUp(t)
	t.Run("all of them", func(t *testing.T) {
		keys := make([]string, 100)
		for i := range keys {
			keys[i] = fmt.Sprint("k", i)
			server.Do(t, "SET", DefaultPrefix+valuesKey+keys[i], keys[i])
		}
		values, err := s.Values().Load(t.Context(), 1<<20, keys...)
		if err != nil {
			t.Fatal(err)
		}
		for i, key := range keys {
			if string(values[i]) != key {
				t.Errorf("%s: got %q, want its name", key, values[i])
			}
		}
	})
	t.Run("but no more than is bearable", func(t *testing.T) {
		const long = 20 << 20
		server.Do(t, "SETRANGE", DefaultPrefix+valuesKey+"long", fmt.Sprint(long-1), "x")
		values, err := s.Values().Load(t.Context(), long, "long", "long", "long")
		if err != nil || len(values[0]) != long || len(values[1]) != long || values[2] != nil {
			t.Errorf("got %d, %d and %d bytes and %v, want two values", len(values[0]), len(values[1]), len(values[2]), err)
		}
	})
}

func TestValuesOfARedisThatIsAway(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, addrs(server))
	s.waitUp(t)
	server.Freeze(t)
	defer server.Thaw(t)
	for range patience {
		begin := time.Now()
		if _, err := s.Values().Load(t.Context(), 100, "k"); err == nil {
			t.Fatal("got an answer of a frozen Redis")
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("got an error after %v, want it within about the timeout of %v", took, DefaultTimeout)
		}
	}
	s.waitDown(t)
	if _, err := s.Values().Load(t.Context(), 100, "k"); !errors.Is(err, ErrDown) {
		t.Errorf("got %v, want %v", err, ErrDown)
	}
	s.Values().Keep("k", []byte("x"), time.Minute)
	if n := len(s.keeper.waiting); n != 0 {
		t.Errorf("%d values wait for a Redis that is away, want none", n)
	}
}

func TestValuesOfAClientThatLeaves(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, patient(addrs(server)))
	s.waitUp(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range patience + 1 {
		if _, err := s.Values().Load(ctx, 100, "k"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's end", err)
		}
	}
	if s.breaker.tooSlow() {
		t.Error("Redis is held for slow because clients have left")
	}
}

// What waits to be kept is bounded, in number and in bytes.
func TestValuesThatWaitAreBounded(t *testing.T) {
	s := NewRedis(Options{Addrs: []string{"127.0.0.1:1"}}) // never started
	defer s.Close()
	for range maxWaiting + 10 {
		s.Keep("k", []byte("x"), time.Minute)
	}
	if n := len(s.keeper.waiting); n != maxWaiting {
		t.Errorf("%d values wait, want %d", n, maxWaiting)
	}
	large := NewRedis(Options{Addrs: []string{"127.0.0.1:1"}})
	defer large.Close()
	for range 40 {
		large.Keep("k", make([]byte, 1<<20), time.Minute)
	}
	if n, bytes := len(large.keeper.waiting), large.keeper.bytes.Load(); n != 16 || bytes != maxWaitingBytes {
		t.Errorf("%d values of %d bytes wait, want 16 of %d", n, bytes, maxWaitingBytes)
	}
}

func TestAloneHasNoValues(t *testing.T) {
	if v := (Alone{}).Values(); v != nil {
		t.Errorf("got %v, want none", v)
	}
}
