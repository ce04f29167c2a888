package litellm

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.yaml.in/yaml/v3"
)

// value is a YAML node with the path that leads to it.
type value struct {
	doc  *document
	node *yaml.Node
	at   place
	key  string // in the mapping that it comes from
}

func (v value) warn(format string, args ...any) { v.doc.warn(v.at, format, args...) }
func (v value) fail(format string, args ...any) { v.doc.fail(v.at, format, args...) }

// resolve follows an alias to what it stands for.
func resolve(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode && node.Alias != nil {
		node = node.Alias
	}
	return node
}

func (v value) null() bool {
	node := resolve(v.node)
	return node.Kind == 0 || node.Kind == yaml.ScalarNode && node.Tag == "!!null"
}

// kind is what an error says that it got. It never shows the value, which may
// be a secret.
func (v value) kind() string {
	node := resolve(v.node)
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch node.Tag {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return "a number"
	}
	return "a text"
}

func (v value) scalar() bool { return resolve(v.node).Kind == yaml.ScalarNode && !v.null() }

// text reads a scalar of any type.
func (v value) text() string {
	if !v.scalar() {
		v.fail("expected a text, got %s", v.kind())
		return ""
	}
	return resolve(v.node).Value
}

// name reads a text that must not be empty.
func (v value) name() string {
	s := v.text()
	if s == "" && v.scalar() {
		v.fail("expected a name, got an empty text")
	}
	return s
}

// boolean reads a switch. Python's spelling and YAML 1.1's are accepted too.
func (v value) boolean() bool {
	if v.scalar() {
		switch strings.ToLower(v.text()) {
		case "true", "yes", "on", "1":
			return true
		case "false", "no", "off", "0":
			return false
		}
	}
	if v.fromEnvironment() {
		v.fail("expected true or false; a switch cannot come from the environment here")
		return false
	}
	v.fail("expected true or false, got %s", v.kind())
	return false
}

// fromEnvironment tells whether LiteLLM would take the value from a variable.
func (v value) fromEnvironment() bool {
	return v.scalar() && strings.HasPrefix(v.text(), environPrefix)
}

// most is the largest number that is accepted. Sums and products of what is
// accepted stay exact or at least finite.
const most = 1e12

// number reads a number that is not negative.
func (v value) number() float64 {
	var n float64
	ok := v.scalar()
	if ok {
		text := resolve(v.node).Value
		if v.fromEnvironment() {
			v.fail("expected a number; a number cannot come from the environment here")
			return 0
		}
		var err error
		if n, err = strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(text), "_", ""), 64); err != nil {
			ok = resolve(v.node).Tag == "!!int" && v.node.Decode(&n) == nil // such as 0x10
		}
	}
	if !ok || math.IsNaN(n) {
		v.fail("expected a number, got %s", v.kind())
		return 0
	}
	if n < 0 || n > most {
		v.fail("expected a number from 0 to %.0f", most)
		return 0
	}
	return n
}

// whole reads a whole number that is not negative.
func (v value) whole() int64 {
	n := v.number()
	if n != math.Trunc(n) {
		v.fail("expected a whole number")
		return 0
	}
	return int64(n)
}

// maxSeconds is the longest time that is accepted, over thirty years.
const maxSeconds = 1e9

// seconds reads a time in seconds, which may have a fraction.
func (v value) seconds() caddy.Duration {
	n := v.number()
	if n > maxSeconds {
		v.fail("expected at most %.0f seconds", maxSeconds)
		return 0
	}
	return caddy.Duration(n * float64(time.Second))
}

// list reads a sequence.
func (v value) list() []value {
	node := resolve(v.node)
	if node.Kind != yaml.SequenceNode {
		v.fail("expected a list, got %s", v.kind())
		return nil
	}
	values := make([]value, 0, len(node.Content))
	for i, n := range node.Content {
		values = append(values, value{doc: v.doc, node: n, at: place{n.Line, fmt.Sprintf("%s[%d]", v.at.path, i)}})
	}
	return values
}

// texts reads a list of texts; a single text is a list of one.
func (v value) texts() []string {
	if v.scalar() {
		return []string{v.text()}
	}
	var texts []string
	for _, item := range v.list() {
		texts = append(texts, item.text())
	}
	return texts
}
