package retry

import (
	"strings"
	"testing"
)

// members lists what a scanner finds.
func members(value string) string {
	s, ok := scan([]byte(value))
	if !ok {
		return "no object or array"
	}
	var found []string
	for {
		key, inner, ok := s.next()
		if !ok {
			return strings.Join(found, " ")
		}
		found = append(found, string(key)+"="+string(inner))
	}
}

func TestScan(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"object", `{"a":1,"b":"x","c":{"d":[1,2]},"e":null}`, `a=1 b="x" c={"d":[1,2]} e=null`},
		{"blanks", " {\n", "no object or array"},
		{"blanks inside", "{ \"a\" :\t1 ,\r\n\"b\": 2 }", `a=1 b=2`},
		{"array", `["a", {"b":1}, [2], 3]`, `="a" ={"b":1} =[2] =3`},
		{"empty object", `{}`, ``},
		{"empty array", `[ ]`, ``},
		{"brackets in strings", `{"a":"}]{[","b":1}`, `a="}]{[" b=1`},
		{"escaped quotes", `{"a":"\"","b":"\\","c":"\\\"}"}`, `a="\"" b="\\" c="\\\"}"`},
		{"cut in a string", `{"a":1,"b":"x`, `a=1 b="x`},
		{"cut in an object", `{"a":{"b":1`, `a={"b":1`},
		{"cut behind a key", `{"a"`, ``},
		{"cut behind a colon", `{"a":`, `a=`},
		{"stray string", `{"a","b":1}`, `b=1`},
		{"missing value", `{"a":,"b":1}`, `a= b=1`},
		{"wrong bracket", `[}`, ``},
		{"bare words", `{a:1}`, ``},
		{"a string", `"a"`, "no object or array"},
		{"nothing", ``, "no object or array"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := members(c.value); got != c.want {
				t.Errorf("%s: got %s, want %s", c.value, got, c.want)
			}
		})
	}
}

func TestMember(t *testing.T) {
	object := []byte(`{"a":{"error":1},"error":"x","error":"y"}`)
	if got := string(member(object, "error")); got != `"x"` {
		t.Errorf("got %s, want the first at the top", got)
	}
	for _, value := range []string{`{"a":1}`, `["error"]`, `"error"`, ``} {
		if got := member([]byte(value), "error"); got != nil {
			t.Errorf("%s: got %s, want none", value, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"plain", `"abc"`, `abc`},
		{"quotes and slashes", `"\"a\" \/ \\"`, `"a" / \`},
		{"line ends as blanks", `"a\nb\tc"`, `a b c`},
		{"unicode", `"\u4f59\u989d\u0021"`, `余额!`},
		{"surrogates", `"\ud83d\ude00"`, `😀`},
		{"half a surrogate pair", `"\ud83dx"`, "\uFFFDx"},
		{"no hex digits", `"\uzz"`, "\uFFFDzz"},
		{"cut in an escape", `"a\`, `a\`},
		{"cut behind an escaped quote", `"a\"`, `a"`},
		{"no string", `12`, `12`},
		{"one quote", `"`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(unescape(unquote([]byte(c.value)))); got != c.want {
				t.Errorf("%s: got %q, want %q", c.value, got, c.want)
			}
		})
	}
}
