package litellm

import (
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

// section is a mapping that remembers which of its keys were read, so that none
// is dropped in silence.
type section struct {
	value
	keys   []string
	values map[string]value
	taken  map[string]bool
}

// section reads the value as a mapping; anything else fails and reads as empty.
func (v value) section() *section {
	s := &section{value: v, values: make(map[string]value), taken: make(map[string]bool)}
	if v.null() {
		return s
	}
	if resolve(v.node).Kind != yaml.MappingNode {
		v.fail("expected a mapping, got %s", v.kind())
		return s
	}
	s.add(resolve(v.node))
	return s
}

// add takes the keys of a mapping, its own before those that it merges.
func (s *section) add(node *yaml.Node) {
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, content := resolve(node.Content[i]), node.Content[i+1]
		if key.Tag == "!!merge" {
			if content = resolve(content); content.Kind == yaml.SequenceNode {
				merged = append(merged, content.Content...)
			} else {
				merged = append(merged, content)
			}
			continue
		}
		if key.Kind != yaml.ScalarNode {
			s.doc.fail(place{key.Line, s.at.path}, "a key is not a plain text")
			continue
		}
		if _, ok := s.values[key.Value]; ok {
			continue
		}
		s.keys = append(s.keys, key.Value)
		s.values[key.Value] = value{s.doc, content, s.under(key.Value, node.Content[i].Line), key.Value}
	}
	for _, m := range merged {
		if m = resolve(m); m.Kind == yaml.MappingNode {
			s.add(m)
		}
	}
}

func (s *section) under(key string, line int) place {
	if s.at.path == "" {
		return place{line, key}
	}
	return place{line, s.at.path + "." + key}
}

// take gives the value of a key, and marks it as read; false when it is
// missing or null.
func (s *section) take(key string) (value, bool) {
	v, ok := s.values[key]
	s.taken[key] = true
	return v, ok && !v.null()
}

// sub gives the mapping under a key, empty when there is none.
func (s *section) sub(key string) *section {
	v, ok := s.take(key)
	if !ok {
		return value{s.doc, &yaml.Node{}, s.under(key, s.at.line), key}.section()
	}
	return v.section()
}

func (s *section) text(key string) string {
	if v, ok := s.take(key); ok {
		return v.text()
	}
	return ""
}

// on tells whether a switch is on; off when it is missing.
func (s *section) on(key string) bool {
	v, ok := s.take(key)
	return ok && v.boolean()
}

// all takes every key that is left, in the order of the file.
func (s *section) all() []value {
	var values []value
	for _, key := range s.keys {
		if v, ok := s.take(key); ok {
			values = append(values, v)
		}
	}
	return values
}

// rest warns about every key that was not read. The reasons say why for those
// that LiteLLM is known to have.
func (s *section) rest(reasons ...map[string]string) {
	for _, key := range s.keys {
		if s.taken[key] {
			continue
		}
		v := s.values[key]
		reason := "is not a key that is known here; it is ignored"
		for _, table := range reasons {
			if known, ok := table[key]; ok {
				reason = known
				break
			}
		}
		v.warn("%s", reason)
	}
}

// merge adds the keys of other that s has not; those of s win.
func (s *section) merge(other *section) {
	for _, key := range other.keys {
		if v, ok := s.values[key]; !ok || v.null() {
			if !ok {
				s.keys = append(s.keys, key)
			}
			s.values[key] = other.values[key]
		}
	}
}

// sortedKeys gives a table's keys for texts that list them.
func sortedKeys[V any](table map[string]V) []string { return slices.Sorted(maps.Keys(table)) }
