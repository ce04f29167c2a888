package sse

import (
	"strings"
	"testing"
)

func TestCursorWalksInPlace(t *testing.T) {
	c := cursor{data: []byte(` { "a" : [1 , {"b":"]}\""}, []] ,"c\"d":{ }, "e":-1.5e3,"f":null } `)}
	if !c.open('{') {
		t.Fatal("got no object")
	}
	var got []string
	for key, ok := c.member(); ok; key, ok = c.member() {
		if string(key) != "a" {
			got = append(got, string(key)+"="+string(c.value()))
			continue
		}
		if c.open('{') || !c.open('[') {
			t.Fatal("got another value, want an array")
		}
		for c.element() {
			got = append(got, string(c.value()))
		}
	}
	want := `1|{"b":"]}\""}|[]|c\"d={ }|e=-1.5e3|f=null`
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

func TestCursorText(t *testing.T) {
	c := cursor{data: []byte(`{"a":"x\"y"}`)}
	c.open('{')
	c.member()
	c.peek()
	raw, from := c.text()
	if string(raw) != `x\"y` || from != 6 {
		t.Errorf("got %q at %d, want the string at 6", raw, from)
	}
}

// Nothing but valid JSON is walked; should it happen, it must end.
func TestCursorEndsOnInvalidJSON(t *testing.T) {
	whole := `{"a":[1,{"b":"c\\"},[]],"d":null}`
	for i := range len(whole) {
		for _, text := range []string{whole[:i], whole[i:], whole[:i] + "\\" + whole[i:], whole[:i] + "]" + whole[i:]} {
			f, c := facts{}, cursor{data: []byte(text)}
			c.open('{')
			f.openAI(&c)
			for c.element() {
				c.value()
			}
		}
	}
}

func TestBlank(t *testing.T) {
	for value, want := range map[string]bool{
		"": true, "null": true, "false": true, `""`: true, "[]": true, "{}": true, "{ \n}": true, "[\t]": true,
		"true": false, "0": false, "500": false, `" "`: false, "[0]": false, `{"a":null}`: false,
	} {
		if got := blank([]byte(value)); got != want {
			t.Errorf("blank(%s): got %v, want %v", value, got, want)
		}
	}
}

func TestSmall(t *testing.T) {
	for text, want := range map[string]int{
		"0": 0, "7": 7, "127": 127, "214748363": 214748363, "99999999999999999999": -1,
		"-1": -1, "1.5": -1, "null": -1, `"1"`: -1, "[1]": -1,
	} {
		c := cursor{data: []byte(text)}
		if got := c.small(); got != want {
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
		if got := validJSON(tc.data); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}
