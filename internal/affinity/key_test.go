package affinity

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	of := func(pool, name, team, value string) Key {
		k := NewKind(pool, name)
		if got, want := KeyOf(&k, team, []byte(value)), KeyOf(&k, team, value); got != want {
			t.Errorf("got %x for bytes, want %x as for the same text", got, want)
		}
		return KeyOf(&k, team, value)
	}
	same := of("pool", "header", "team", "value")
	if same == (Key{}) || of("pool", "header", "team", "value") != same {
		t.Errorf("got %x and another key for the same session", same)
	}
	for name, other := range map[string]Key{
		"another value":              of("pool", "header", "team", "other"),
		"another team":               of("pool", "header", "other", "value"),
		"no team":                    of("pool", "header", "", "value"),
		"another kind":               of("pool", "field", "team", "value"),
		"another pool":               of("other", "header", "team", "value"),
		"a team that ends later":     of("pool", "header", "teamv", "alue"),
		"a pool that ends later":     of("poolheader", "", "team", "value"),
		"a kind with its pool's end": of("poo", "lheader", "team", "value"),
	} {
		if other == same {
			t.Errorf("%s: got the same key, want another", name)
		}
	}
	for name, value := range map[string]string{"nothing": "", "a text that is too long": strings.Repeat("x", MaxValue+1)} {
		if got := of("pool", "header", "team", value); got != (Key{}) {
			t.Errorf("%s: got %x, want no key", name, got)
		}
	}
	if of("pool", "header", strings.Repeat("t", 5000), strings.Repeat("x", MaxValue)) == (Key{}) {
		t.Error("got no key for a long team and the longest value")
	}
}

// The keys are in Redis, where other versions of this program may read them.
func TestKeysAreTheSameInEveryInstance(t *testing.T) {
	k := NewKind("gpt-4o", "X-Session-Id")
	want := "22254c9b1f31e703b156a0f2a107cc4b"
	if got := KeyOf(&k, "red", "7f3a"); hex.EncodeToString(got[:]) != want {
		t.Errorf("got %x, want %s", got, want)
	}
}
