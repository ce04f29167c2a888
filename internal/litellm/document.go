package litellm

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.yaml.in/yaml/v3"
)

// document is one config on its way: what is wrong with it, and what of it has
// no counterpart.
type document struct {
	file      string
	getenv    func(string) string
	variables map[string]*variable

	warnings []caddyconfig.Warning
	problems []error
	// lenient turns problems into warnings, for deployments that LiteLLM leaves
	// out when they are invalid; failed counts them.
	lenient bool
	failed  int
}

// place is a line of the file and the path of the key there.
type place struct {
	line int
	path string
}

func (doc *document) warn(at place, format string, args ...any) {
	doc.warnings = append(doc.warnings, caddyconfig.Warning{
		File: doc.file, Line: at.line, Message: at.path + ": " + fmt.Sprintf(format, args...),
	})
}

func (doc *document) fail(at place, format string, args ...any) {
	doc.failed++
	if doc.lenient {
		doc.warn(at, format, args...)
		return
	}
	doc.problems = append(doc.problems, fmt.Errorf("%s:%d: %s: %s", doc.file, at.line, at.path, fmt.Sprintf(format, args...)))
}

// sorted gives the warnings in the order of the file.
func (doc *document) sorted() []caddyconfig.Warning {
	slices.SortStableFunc(doc.warnings, func(a, b caddyconfig.Warning) int { return cmp.Compare(a.Line, b.Line) })
	return doc.warnings
}

// parse reads the YAML; nil when it is none that LiteLLM could read.
func (doc *document) parse(body []byte) *section {
	decoder := yaml.NewDecoder(bytes.NewReader(body))
	var root, more yaml.Node
	err := decoder.Decode(&root)
	if errors.Is(err, io.EOF) || err == nil && empty(&root) {
		doc.problems = append(doc.problems, fmt.Errorf("%s: the config is empty; expected a model_list", doc.file))
		return nil
	}
	if err == nil {
		// Decoding into values refuses what nodes let through: keys that are given
		// twice, and aliases that contain themselves or multiply beyond measure.
		var whole any
		err = root.Decode(&whole)
	}
	if err == nil {
		if next := decoder.Decode(&more); next == nil {
			err = fmt.Errorf("line %d: a second document; expected one", more.Line)
		} else if !errors.Is(next, io.EOF) {
			err = next
		}
	}
	if err != nil {
		doc.problems = append(doc.problems, doc.atLine(err))
		return nil
	}
	top := value{doc: doc, node: root.Content[0], at: place{line: root.Content[0].Line}}
	if resolve(top.node).Kind != yaml.MappingNode {
		doc.problems = append(doc.problems, fmt.Errorf("%s:%d: expected a mapping with a model_list, got %s", doc.file, top.at.line, top.kind()))
		return nil
	}
	return top.section()
}

func empty(root *yaml.Node) bool {
	return len(root.Content) == 0 || root.Content[0].Tag == "!!null"
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// atLine puts the line of a YAML error where those of other errors are.
func (doc *document) atLine(err error) error {
	text := err.Error()
	match := yamlLine.FindStringSubmatchIndex(text)
	if match == nil {
		return fmt.Errorf("%s: not YAML: %s", doc.file, text)
	}
	line, _ := strconv.Atoi(text[match[2]:match[3]])
	return fmt.Errorf("%s:%d: not YAML that can be read: %s", doc.file, line, text[match[1]:])
}
