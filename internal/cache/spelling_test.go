package cache

import (
	"fmt"
	"strings"
	"testing"
)

func TestRequestsAreKnownByTheirBytes(t *testing.T) {
	c := New(1 << 20)
	defer c.Close()
	request := func(scope, body string) *Request {
		return &Request{Kind: Chat, Body: []byte(body), Scope: []string{"pool", scope}}
	}
	body := `{"messages":[{"role":"user","content":"Hi"}],"temperature":1}`
	first := request("team", body)
	key, remembered, ok := c.KeyOf(first)
	if !ok || remembered {
		t.Fatalf("got known %v and remembered %v, want a key that is new", ok, remembered)
	}
	c.Remember(first, key)
	clear(first.Body) // it was the client's, and others use its memory
	again, remembered, ok := c.KeyOf(request("team", body))
	if !ok || !remembered || again != key {
		t.Errorf("got the same key %v, remembered %v, want both", again == key, remembered)
	}
	for name, other := range map[string]*Request{
		"another team":    request("others", body),
		"another text":    request("team", strings.Replace(body, "Hi", "Ho", 1)),
		"another writing": request("team", " "+body),
		"another kind":    {Kind: Messages, Body: []byte(body), Scope: []string{"pool", "team"}},
		"another server":  {Kind: Chat, Body: []byte(body), Scope: []string{"pool", "team"}, Literal: true},
		"parts cut elsewhere": {
			Kind: Chat, Body: []byte(body), Scope: []string{"poo", "lteam"},
		},
	} {
		want, _ := other.Key()
		got, remembered, _ := c.KeyOf(other)
		if remembered || got != want {
			t.Errorf("%s: got remembered %v and its own key %v, want a request that is read", name, remembered, got == want)
		}
	}
}

// Requests whose sums are equal are told apart by their bytes.
func TestSumsAreNotBelieved(t *testing.T) {
	c := New(1 << 20)
	defer c.Close()
	a := &Request{Kind: Chat, Body: []byte(`{"messages":"a"}`)}
	b := &Request{Kind: Chat, Body: []byte(`{"messages":"b"}`)}
	key, _ := a.Key()
	c.spellings.keys.Set(b.sum(), &spelling{*a, key})
	if got, remembered, _ := c.KeyOf(b); remembered || got == key {
		t.Errorf("got remembered %v and the key of another request %v, want neither", remembered, got == key)
	}
}

func TestSpellingsAreBounded(t *testing.T) {
	const size = 1 << 20
	c := New(size)
	defer c.Close()
	text := strings.Repeat("x", 1<<10)
	for i := range 1000 {
		r := &Request{Kind: Chat, Body: fmt.Appendf(nil, `{"messages":"%s %d"}`, text, i)}
		c.Remember(r, Key{})
	}
	c.spellings.keys.CleanUp()
	if got := c.spellings.keys.WeightedSize(); got > size/spellingShare {
		t.Errorf("got %d bytes of requests, want at most %d", got, size/spellingShare)
	}
}

func TestTheSmallestCacheRemembersNothing(t *testing.T) {
	c := New(1)
	defer c.Close()
	r := &Request{Kind: Chat, Body: []byte(`{"messages":"a"}`)}
	c.Remember(r, Key{})
	c.SetSize(2)
	c.spellings.keys.CleanUp()
	if _, remembered, ok := c.KeyOf(r); remembered || !ok {
		t.Errorf("got remembered %v and a key %v, want a key that is read", remembered, ok)
	}
}

func BenchmarkKeyOf(b *testing.B) {
	c := New(1 << 20)
	defer c.Close()
	for _, size := range []int{1 << 10, 32 << 10} {
		text := strings.Repeat(`She said \"yes\" to that.\nNaïve tokens. `, size/40)
		r := &Request{Kind: Chat, Body: []byte(`{"model":"m","messages":[{"role":"user","content":"` + text + `"}]}`), Scope: []string{"pool", "/v1/chat/completions", "team"}}
		key, _ := r.Key()
		b.Run(fmt.Sprintf("KiB=%d/read", size>>10), func(b *testing.B) {
			for b.Loop() {
				r.Key()
			}
		})
		c.Remember(r, key)
		b.Run(fmt.Sprintf("KiB=%d/remembered", size>>10), func(b *testing.B) {
			for b.Loop() {
				if _, remembered, _ := c.KeyOf(r); !remembered {
					b.Fatal("it is not remembered")
				}
			}
		})
	}
}
