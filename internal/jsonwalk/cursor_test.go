package jsonwalk

import (
	"strings"
	"testing"
)

func TestCursorWalksInPlace(t *testing.T) {
	c := New([]byte(` { "a" : [1 , {"b":"]}\""}, []] ,"c\"d":{ }, "e":-1.5e3,"f":null } `))
	if !c.Open('{') {
		t.Fatal("got no object")
	}
	var got []string
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		if string(key) != "a" {
			got = append(got, string(key)+"="+string(c.Value()))
			continue
		}
		if c.Open('{') || !c.Open('[') {
			t.Fatal("got another value, want an array")
		}
		for c.Element() {
			got = append(got, string(c.Value()))
		}
	}
	want := `1|{"b":"]}\""}|[]|c\"d={ }|e=-1.5e3|f=null`
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

func TestCursorText(t *testing.T) {
	c := New([]byte(`{"a":"x\"y"}`))
	c.Open('{')
	c.Member()
	c.Peek()
	raw, from := c.Text()
	if string(raw) != `x\"y` || from != 6 {
		t.Errorf("got %q at %d, want the string at 6", raw, from)
	}
}

// Nothing but valid JSON is walked; should it happen, it must end.
func TestCursorEndsOnInvalidJSON(t *testing.T) {
	whole := `{"a":[1,{"b":"c\\"},[]],"d":null}`
	for i := range len(whole) {
		for _, text := range []string{whole[:i], whole[i:], whole[:i] + "\\" + whole[i:], whole[:i] + "]" + whole[i:]} {
			c := New([]byte(text))
			walk(&c, 0)
			if c.at > len(text)+len(whole) {
				t.Errorf("%s: got to %d, want an end soon after it", text, c.at)
			}
		}
	}
}

// walk descends into everything.
func walk(c *Cursor, depth int) {
	switch {
	case depth > 100:
	case c.Open('{'):
		for _, ok := c.Member(); ok; _, ok = c.Member() {
			walk(c, depth+1)
		}
	case c.Open('['):
		for c.Element() {
			walk(c, depth+1)
		}
	default:
		c.Value()
	}
}

func TestBlank(t *testing.T) {
	for value, want := range map[string]bool{
		"": true, "null": true, "false": true, `""`: true, "[]": true, "{}": true, "{ \n}": true, "[\t]": true,
		"[": false, "{": false,
		"true": false, "0": false, "500": false, `" "`: false, "[0]": false, `{"a":null}`: false,
	} {
		if got := Blank([]byte(value)); got != want {
			t.Errorf("Blank(%s): got %v, want %v", value, got, want)
		}
	}
}

func TestSmall(t *testing.T) {
	for text, want := range map[string]int{
		"0": 0, "7": 7, "127": 127, "214748363": 214748363, "99999999999999999999": -1,
		"-1": -1, "1.5": -1, "null": -1, `"1"`: -1, "[1]": -1,
	} {
		c := New([]byte(text))
		if got := c.Small(); got != want {
			t.Errorf("small of %s: got %d, want %d", text, got, want)
		}
	}
}

func TestValidJSONBoundsDepth(t *testing.T) {
	nest := func(n int) []byte {
		return []byte(strings.Repeat(`{"a":[`, n/2) + strings.Repeat("]}", n/2))
	}
	for _, tc := range []struct {
		name string
		data []byte
		want bool
	}{
		{"as deep as allowed", nest(maxDepth), true},
		{"deeper", nest(maxDepth + 2), false},
		{"brackets in a text", []byte(`"` + strings.Repeat(`[{\"`, maxDepth) + `"`), true},
		{"wide", []byte("[" + strings.Repeat("[],", maxDepth) + "1]"), true},
		{"a megabyte of brackets", []byte(strings.Repeat("[", 1<<20)), false},
	} {
		if got := Valid(tc.data); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}
