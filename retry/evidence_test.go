package retry

import "testing"

func TestEffectiveStatus(t *testing.T) {
	for _, c := range []struct {
		name                 string
		status, stated, want int
	}{
		{"nothing stated", 500, 0, 500},
		{"inside a stream", 0, 502, 502},
		{"nothing known", 0, 0, 0},
		{"a 500 that was a 429", 500, 429, 429},
		{"a 502 that was a 401", 502, 401, 401},
		{"a 400 that was a 402", 400, 402, 402},
		{"a 400 that was a 529", 400, 529, 529},
		{"a 500 that says 400", 500, 400, 500},
		{"a 400 that says 500", 400, 500, 400},
		{"a 403 stays", 403, 429, 403},
		{"a 503 stays", 503, 429, 503},
		{"a 429 stays", 429, 503, 429},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := evidence{status: c.stated}
			if got := e.effective(c.status); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestStatedStatus(t *testing.T) {
	for value, want := range map[string]int{
		"429": 429, "400": 400, "599": 599, "200": 0, "600": 0, "1300": 0, "42": 0, "-50": 0, "4e2": 0, "abc": 0,
	} {
		var e evidence
		e.visit(fieldStatus|fieldMarker, []byte(value))
		if e.status != want {
			t.Errorf("%s: got %d, want %d", value, e.status, want)
		}
	}
	var e evidence
	e.visit(fieldStatus, []byte("429"))
	e.visit(fieldStatus, []byte("500"))
	if e.status != 429 {
		t.Errorf("got %d, want the first", e.status)
	}
}

// set makes a set of signs.
func set(classes ...Class) (s signs) {
	for _, c := range classes {
		s.add(c)
	}
	return s
}

func TestEvidenceOrder(t *testing.T) {
	for _, c := range []struct {
		name   string
		e      evidence
		status int
		want   Class
	}{
		{"a name before a sentence", evidence{marked: set(NotFound), said: set(ContextWindow)}, 400, NotFound},
		{"a sentence before the status", evidence{said: set(ContextWindow)}, 500, ContextWindow},
		{"a family after the status", evidence{family: set(BadRequest)}, 500, ServerError},
		{"a family without a status", evidence{family: set(BadRequest)}, 0, BadRequest},
		{"the narrower family", evidence{family: set(BadRequest, NotFound)}, 0, NotFound},
		{"a filter before a key", evidence{marked: set(Auth, ContentPolicy)}, 403, ContentPolicy},
		{"money before a key", evidence{marked: set(Auth, Quota)}, 403, Quota},
		{"a 401 before what it says of models", evidence{said: set(NotFound, ContentPolicy)}, 401, Auth},
		{"money in a 401", evidence{said: set(Quota)}, 401, Quota},
		{"a limit before a context", evidence{said: set(RateLimit, ContextWindow)}, 400, RateLimit},
		{"a named context before a limit", evidence{marked: set(ContextWindow), said: set(RateLimit)}, 400, ContextWindow},
		{"a 429 before a named context", evidence{marked: set(ContextWindow)}, 429, RateLimit},
		{"a day before a minute", evidence{said: set(spent, momentary)}, 429, Quota},
		{"a minute before quota", evidence{marked: set(Quota), said: set(momentary)}, 429, RateLimit},
		{"a day means nothing without a limit", evidence{said: set(spent)}, 400, BadRequest},
		{"a rate by name before overload", evidence{marked: set(RateLimit), said: set(Overloaded)}, 429, RateLimit},
		{"overload by name", evidence{marked: set(RateLimit, Overloaded)}, 429, Overloaded},
		{"Google's quota of a minute", evidence{family: set(RateLimit), said: set(Quota)}, 429, RateLimit},
		{"overload is not read out of a 400", evidence{said: set(Overloaded)}, 400, BadRequest},
		{"nor out of a timeout", evidence{marked: set(Overloaded), said: set(Overloaded)}, 524, Timeout},
		{"nor a timeout out of a 503", evidence{said: set(Timeout)}, 503, Overloaded},
		{"nor out of a 400", evidence{marked: set(Timeout), said: set(Timeout)}, 400, BadRequest},
		{"a 402 is what it is", evidence{marked: set(RateLimit)}, 402, Quota},
		{"nothing", evidence{}, 0, ServerError},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.e.class(c.status); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestQuotaID(t *testing.T) {
	for id, want := range map[string]signs{
		"GenerateRequestsPerDayPerProjectPerModel-FreeTier":    set(spent),
		"GenerateRequestsPerMinutePerProjectPerModel-FreeTier": set(momentary),
		"SomethingElse": 0,
		"":              0,
	} {
		var e evidence
		if e.quotaID([]byte(id)); e.said != want {
			t.Errorf("%s: got %b, want %b", id, e.said, want)
		}
	}
}
