package retry

import "testing"

func TestClassNames(t *testing.T) {
	seen := map[string]bool{}
	for c := range NumClasses {
		name := c.String()
		if name == "" || name == "unknown" || seen[name] {
			t.Errorf("class %d: got %q, want a name of its own", c, name)
		}
		seen[name] = true
	}
	for _, c := range []Class{NumClasses, 255} {
		if got := c.String(); got != "unknown" {
			t.Errorf("class %d: got %q, want unknown", c, got)
		}
	}
}

func TestParseClass(t *testing.T) {
	for c := range NumClasses {
		got, ok := ParseClass(c.String())
		if c == None || c == Canceled {
			if ok {
				t.Errorf("%v: got %v, want a refusal", c, got)
			}
			continue
		}
		if got != c || !ok {
			t.Errorf("%v: got %v, %v, want itself", c, got, ok)
		}
	}
	for _, name := range []string{"", "unknown", "Timeout", "rate-limit"} {
		if got, ok := ParseClass(name); ok {
			t.Errorf("%q: got %v, want a refusal", name, got)
		}
	}
}

func TestClassBlames(t *testing.T) {
	innocent := map[Class]bool{None: true, ClientAuth: true, ContextWindow: true, ContentPolicy: true, BadRequest: true, Canceled: true}
	for c := range NumClasses {
		if got := c.Blames(); got == innocent[c] {
			t.Errorf("%v: got %v, want %v", c, got, !innocent[c])
		}
	}
}

// What passes by itself is the deployment's failure; the reverse does not hold.
func TestRetriedClassesBlame(t *testing.T) {
	for c := range NumClasses {
		if ShouldRetry(c) && !c.Blames() {
			t.Errorf("%v is retried and nobody's failure", c)
		}
	}
}
