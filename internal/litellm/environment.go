package litellm

import (
	"regexp"
	"slices"
	"strings"
)

// environPrefix begins a value that LiteLLM takes from the environment.
const environPrefix = "os.environ/"

var (
	environName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	environInside   = regexp.MustCompile(`os\.environ/([A-Za-z_][A-Za-z0-9_]*)`)
	environTemplate = regexp.MustCompile(`\{env\.([A-Za-z0-9_]+)\}`)
)

// variable is an entry of environment_variables, which LiteLLM sets for itself.
type variable struct {
	value
	text    string // as a placeholder or an escaped literal
	literal bool
	used    bool
}

// readVariables reads environment_variables.
func (doc *document) readVariables(root *section) {
	doc.variables = make(map[string]*variable)
	for _, v := range root.sub("environment_variables").all() {
		if !v.scalar() {
			v.fail("expected a text, got %s", v.kind())
			continue
		}
		set := &variable{value: v, text: escape(v.text()), literal: true}
		if name, ok := strings.CutPrefix(v.text(), environPrefix); ok {
			set.text, set.literal = placeholder(name), false
			if !environName.MatchString(name) {
				v.fail("expected the name of a variable after %s", environPrefix)
			}
		}
		doc.variables[v.key] = set
	}
}

// warnVariables says what became of environment_variables.
func (doc *document) warnVariables() {
	for _, name := range sortedKeys(doc.variables) {
		v := doc.variables[name]
		switch {
		case !v.used:
			v.warn("has no effect, because a config sets no environment variables in Caddy; set %s in Caddy's environment if anything else needs it", name)
		case v.literal:
			v.warn("its value stands in the adapted config wherever it is used; set %s in Caddy's environment instead and remove it here", name)
		}
	}
}

func placeholder(name string) string { return "{env." + name + "}" }

// escape keeps a literal's braces from being taken for placeholders.
func escape(literal string) string {
	return strings.NewReplacer("{", `\{`, "}", `\}`).Replace(literal)
}

// fromEnvironment gives what stands for an environment variable in the adapted
// config: a placeholder, or what environment_variables says.
func (doc *document) fromEnvironment(name string) string {
	if v, ok := doc.variables[name]; ok {
		v.used = true
		return v.text
	}
	return placeholder(name)
}

// firstSet gives the one of several variables that is set, else the first.
func (doc *document) firstSet(names []string) string {
	return doc.fromEnvironment(names[max(slices.IndexFunc(names, doc.has), 0)])
}

// has tells whether a variable is set right now.
func (doc *document) has(name string) bool {
	return doc.variables[name] != nil || doc.getenv(name) != ""
}

// warnOfSecret says that a literal stands where everybody who sees the config can
// read it.
func (v value) warnOfSecret(what string) {
	v.warn("the %s stands in the adapted config; write %s<NAME> and set the variable in Caddy's environment", what, environPrefix)
}

// resolved reads a text that may come from the environment; literal when it
// stands in the config itself.
func (v value) resolved() (text string, literal bool) {
	text = v.text()
	name, ok := strings.CutPrefix(text, environPrefix)
	if !ok {
		return escape(text), true
	}
	if !environName.MatchString(name) {
		v.fail("expected the name of a variable after %s", environPrefix)
		return "", false
	}
	return v.doc.fromEnvironment(name), false
}

// resolvedInside is resolved for texts in which variables may be a part.
func (v value) resolvedInside() string {
	text := v.text()
	var out strings.Builder
	last := 0
	for _, m := range environInside.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(escape(text[last:m[0]]))
		out.WriteString(v.doc.fromEnvironment(text[m[2]:m[3]]))
		last = m[1]
	}
	out.WriteString(escape(text[last:]))
	return out.String()
}

// shape is a text with what its placeholders stand for right now, as far as
// that is set. It decides how an address is continued, and is never written.
func (doc *document) shape(text string) string {
	return environTemplate.ReplaceAllStringFunc(text, func(p string) string {
		if set := doc.getenv(p[len("{env.") : len(p)-1]); set != "" {
			return set
		}
		return p
	})
}
