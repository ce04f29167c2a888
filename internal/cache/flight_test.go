package cache

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

var (
	streamHead = Head{ContentType: "text/event-stream", Stream: true}
	jsonHead   = Head{ContentType: "application/json"}
	key        = Key{1, 2, 3}
)

// followed is what a follower has got in the end.
type followed struct {
	text   string
	pieces int
	state  State
	err    error
}

func follow(ctx context.Context, f *Flight) (got followed) {
	defer f.Unfollow()
	for {
		s, err := f.Next(ctx, len(got.text))
		got.state, got.err = s, err
		if err != nil || s.Lost {
			return got
		}
		got.text += string(s.New)
		got.pieces++
		if s.Ended {
			return got
		}
	}
}

// crew is a flight with some who follow it.
func crew(t *testing.T, ctx context.Context, n int) (c *Cache, f *Flight, wait func() []followed) {
	t.Helper()
	c = New(1 << 20)
	f, leads := c.Join(key, 100)
	if !leads {
		t.Fatal("got somebody else's flight, want to lead")
	}
	all := make([]followed, n)
	var followers sync.WaitGroup
	for i := range all {
		same, leads := c.Join(key, 100)
		if leads || same != f {
			t.Fatal("got another flight, want to follow")
		}
		followers.Go(func() { all[i] = follow(ctx, f) })
	}
	synctest.Wait()
	return c, f, func() []followed {
		followers.Wait()
		c.Close()
		return all
	}
}

func TestFollowersGetAStreamAsItGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f, wait := crew(t, t.Context(), 3)
		f.Begin(streamHead)
		for _, piece := range []string{"one ", "two ", "three"} {
			f.Write([]byte(piece))
			synctest.Wait() // they have it before the next
		}
		body, _, ok := f.Whole()
		f.End(retry.None)
		c.Land(key, f)
		for _, got := range wait() {
			if got.text != "one two three" || got.pieces < 3 || got.state.Class != retry.None || got.state.Head != streamHead {
				t.Errorf("got %+v, want the stream in at least three pieces", got)
			}
		}
		if string(body) != "one two three" || !ok {
			t.Errorf("got %q (%v) to keep, want the whole", body, ok)
		}
	})
}

func TestFollowersGetAnythingElseAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f, wait := crew(t, t.Context(), 3)
		f.Begin(jsonHead)
		f.Write([]byte(`{"a":`))
		synctest.Wait()
		f.Write([]byte(`1}`))
		f.End(retry.None)
		c.Land(key, f)
		for _, got := range wait() {
			if got.text != `{"a":1}` || got.pieces != 1 {
				t.Errorf("got %+v, want all in one piece", got)
			}
		}
	})
}

func TestFollowersAreLetGo(t *testing.T) {
	for name, fly := range map[string]func(f *Flight){
		"when the leader fails":           func(f *Flight) { f.End(retry.ServerError) },
		"when the leader's client leaves": func(f *Flight) { f.End(retry.Canceled) },
		"when the answer is not to share": func(f *Flight) { f.Refuse() },
		"when JSON is cut": func(f *Flight) {
			f.Begin(jsonHead)
			f.Write([]byte(`{"a"`))
			f.End(retry.Connection)
		},
		"when JSON is too long": func(f *Flight) {
			f.Begin(jsonHead)
			f.Write(make([]byte, 101))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, f, wait := crew(t, t.Context(), 2)
				fly(f)
				for _, got := range wait() {
					if !got.state.Lost || got.text != "" {
						t.Errorf("got %+v, want it lost", got)
					}
				}
				if body, _, ok := f.Whole(); ok {
					t.Errorf("got %q to keep, want nothing", body)
				}
				c.Land(key, f)
				if _, leads := c.Join(key, 100); !leads {
					t.Error("got a flight to follow, want none left")
				}
			})
		})
	}
}

func TestAStreamThatIsCutIsCutForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f, wait := crew(t, t.Context(), 2)
		f.Begin(streamHead)
		f.Write([]byte("one "))
		synctest.Wait()
		f.Write([]byte("error"))
		f.End(retry.Connection)
		c.Land(key, f)
		for _, got := range wait() {
			if got.text != "one error" || got.state.Class != retry.Connection {
				t.Errorf("got %+v, want what the leader wrote and its class", got)
			}
		}
	})
}

func TestAStreamThatIsLongGoesOnForWhoFollowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f, wait := crew(t, t.Context(), 2)
		long := strings.Repeat("x", 99)
		f.Begin(streamHead)
		for range 3 {
			f.Write([]byte(long))
		}
		if _, leads := c.Join(key, 100); !leads {
			t.Error("somebody may follow a stream that is too long to keep, want another flight")
		}
		if body, _, ok := f.Whole(); ok {
			t.Errorf("got %d bytes to keep, want none", len(body))
		}
		f.End(retry.None)
		for _, got := range wait() {
			if len(got.text) != 3*99 || got.state.Lost {
				t.Errorf("got %d bytes, lost %v, want all of it", len(got.text), got.state.Lost)
			}
		}
	})
}

func TestFollowersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		c, f, wait := crew(t, ctx, 2)
		abandoned := false
		f.Lead(func() { abandoned = true })
		leave()
		for _, got := range wait() {
			if !errors.Is(got.err, context.Canceled) {
				t.Errorf("got %+v, want the context's end", got)
			}
		}
		if abandoned {
			t.Error("the call is abandoned although the leader's client waits")
		}
		f.Begin(jsonHead)
		f.Write([]byte("{}"))
		if body, _, ok := f.Whole(); string(body) != "{}" || !ok {
			t.Errorf("got %q (%v) to keep, want the answer", body, ok)
		}
		c.Land(key, f)
	})
}

func TestTheLeadersClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		c, f, wait := crew(t, ctx, 1)
		abandoned := false
		f.Lead(func() { abandoned = true })
		f.Leave()
		if abandoned || !f.Followed() {
			t.Fatal("the call is abandoned although somebody follows")
		}
		leave()
		wait()
		if !abandoned || f.Followed() {
			t.Error("the call goes on although nobody follows")
		}
		if _, leads := c.Join(key, 100); !leads {
			t.Error("somebody may follow a call that was abandoned, want another flight")
		}
		c.Land(key, f)
		if _, leads := c.Join(key, 100); leads {
			t.Error("landing the first flight has taken the second away")
		}
	})
}

func TestAbandonedBeforeItBegan(t *testing.T) {
	f, abandoned := NewFlight(1), false
	f.Leave()
	f.Lead(func() { abandoned = true })
	if !abandoned {
		t.Error("the call goes on although nobody waits for it")
	}
}

func TestEntriesGetOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		now := time.Now()
		e := &Entry{ContentType: "application/json", Body: []byte("{}"), Stored: now, Expires: now.Add(time.Minute)}
		c.Put(key, e, now)
		for _, tt := range []struct {
			after, maxAge time.Duration
			want          *Entry
		}{
			{0, -1, e}, {59 * time.Second, -1, e}, {time.Minute, -1, nil},
			{10 * time.Second, 10 * time.Second, e}, {11 * time.Second, 10 * time.Second, nil}, {0, 0, e}, {1, 0, nil},
		} {
			if got := c.Get(key, now.Add(tt.after), tt.maxAge); got != tt.want {
				t.Errorf("after %v, with a max-age of %v: got %v, want %v", tt.after, tt.maxAge, got, tt.want)
			}
		}
		c.Put(Key{9}, e, now.Add(time.Hour))
		if got := c.Get(Key{9}, now, -1); got != nil {
			t.Errorf("got %v, want nothing of what was too old from the start", got)
		}
	})
}

// A config that has ended may have requests that have not.
func TestAClosedCacheGoesOn(t *testing.T) {
	c, now := New(1<<20), time.Now()
	c.Close()
	c.Close()
	e := &Entry{Body: []byte("{}"), Expires: now.Add(time.Hour)}
	c.Put(key, e, now)
	if got := c.Get(key, now, -1); got != e {
		t.Errorf("got %v, want what was put", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := New(100 << 10)
	defer c.Close()
	now := time.Now()
	for i := range 1000 {
		c.Put(Key{byte(i), byte(i >> 8)}, &Entry{Body: make([]byte, 1<<10), Expires: now.Add(time.Hour)}, now)
	}
	c.memory.entries.CleanUp()
	if got := c.memory.entries.WeightedSize(); got > 100<<10 || got == 0 {
		t.Errorf("got %d bytes in memory, want at most %d and some", got, 100<<10)
	}
}
