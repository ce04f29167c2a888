package retry

import (
	"bytes"
	"net/http"
	"strconv"
)

// signs is a set of classes, of spent and of momentary.
type signs uint32

func (s signs) has(c Class) bool { return s&(1<<c) != 0 }
func (s *signs) add(c Class)     { *s |= 1 << c }

// first returns the first of the classes that is in the set, None if none is.
func (s signs) first(classes ...Class) Class {
	for _, c := range classes {
		if s.has(c) {
			return c
		}
	}
	return None
}

// evidence is what a response says about its failure apart from its status.
type evidence struct {
	marked signs // by names that decide
	family signs // by names that only tell the kind
	said   signs // by phrases
	status int   // the HTTP status that the body states, 0 if none
}

// visit takes in one string or number of a body.
func (e *evidence) visit(f field, value []byte) {
	if f&fieldStatus != 0 && e.status == 0 && len(value) == 3 {
		if n, err := strconv.Atoi(string(value)); err == nil && n >= 400 && n < 600 {
			e.status = n
			return
		}
	}
	if f&fieldPrompt != 0 {
		e.marked.add(ContextWindow)
	}
	if f&fieldQuota != 0 {
		e.quotaID(value)
	}
	switch spaced := bytes.IndexByte(value, ' ') >= 0; {
	case f&fieldText != 0:
		e.text(value)
		if !spaced { // {"error":"unauthorized"}
			e.marker(value)
		}
	case f&fieldMarker != 0:
		e.marker(value)
		if spaced { // xAI's codes are sentences
			e.text(value)
		}
	}
}

// marker takes in a machine-readable name.
func (e *evidence) marker(value []byte) {
	var buf nameBuffer
	name := canonicalMarker(&buf, value)
	if len(name) == 0 {
		return
	}
	if c, ok := markerClasses[string(name)]; ok {
		e.marked.add(c)
		return
	}
	if c, ok := familyClasses[string(name)]; ok {
		e.family.add(c)
		return
	}
	for _, s := range stems {
		if bytes.Contains(name, []byte(s.stem)) {
			e.marked.add(s.class)
			return
		}
	}
}

// quotaID takes in one of Google's, such as
// GenerateRequestsPerDayPerProjectPerModel-FreeTier.
func (e *evidence) quotaID(value []byte) {
	var buf nameBuffer
	switch name := canonical(&buf, value); {
	case bytes.Contains(name, []byte("perday")):
		e.said.add(spent)
	case bytes.Contains(name, []byte("permin")):
		e.said.add(momentary)
	}
}

// text takes in a sentence.
func (e *evidence) text(text []byte) {
	for i := range text {
		candidates := phrasesByFirst[lower(text[i])]
		if candidates == nil || !wordStart(text, i) {
			continue
		}
		for _, p := range candidates {
			if !e.said.has(p.says) && match(text, i, p.text) >= 0 {
				e.said.add(p.says)
			}
		}
	}
}

// class weighs the evidence against a status, 0 for none. The order of its
// cases is the rule: what is safer to believe comes first.
func (e *evidence) class(status int) Class {
	status = e.effective(status)
	switch status {
	case http.StatusNotImplemented:
		return BadRequest // no deployment of the same server can do better
	case http.StatusPaymentRequired:
		return Quota
	}
	if e.limited(status) {
		return e.limit()
	}
	if c := e.marked.first(ContentPolicy, ContextWindow, Quota, Auth, NotFound); c != None {
		return c
	}
	// Whether the status leaves open why the deployment failed. A 504 does not,
	// and Cloudflare's page for it guesses at overload.
	slow := isSlow(status)
	open := (status == 0 || status >= 500) && !slow
	switch {
	case e.marked.has(Overloaded) && !slow:
		return Overloaded
	case e.marked.has(Timeout) && open:
		return Timeout
	case e.marked.has(ServerError) && !slow:
		return ServerError
	case (e.marked.has(BadRequest) || e.said.has(BadRequest)) && status < 500:
		return BadRequest
	case status == http.StatusUnauthorized && !e.said.has(Quota):
		return Auth
	}
	if c := e.said.first(ContextWindow, ContentPolicy, Quota, Auth, NotFound); c != None {
		return c
	}
	switch {
	case e.said.has(Overloaded) && open:
		return Overloaded
	case e.said.has(Timeout) && open && status != http.StatusServiceUnavailable:
		return Timeout
	case status != 0:
		return classOfStatus(status)
	}
	if c := e.family.first(NotFound, Auth, BadRequest); c != None {
		return c
	}
	return ServerError
}

// effective is the status to go by. A body states its own when the response was
// already under way, and gateways wrap those of others in a 400, 500 or 502;
// there it counts if it says more than that something is wrong.
func (e *evidence) effective(status int) int {
	switch {
	case e.status == 0:
		return status
	case status == 0:
		return e.status
	case status != http.StatusBadRequest && status != http.StatusInternalServerError && status != http.StatusBadGateway:
		return status
	}
	switch e.status {
	case 401, 402, 403, 408, 429, 503, 504, 529:
		return e.status
	}
	return status
}

// limited reports whether a limit over time was hit. With such a limit texts
// about tokens are not about the context window.
func (e *evidence) limited(status int) bool {
	switch {
	case status == http.StatusTooManyRequests, e.marked.has(RateLimit):
		return true
	case status == http.StatusUnauthorized, e.marked.first(ContextWindow, ContentPolicy, Auth, NotFound, BadRequest) != None:
		return false
	}
	return e.family.has(RateLimit) || e.said.has(RateLimit)
}

// limit tells the limits apart. A daily one keeps its deployment out for long,
// whatever the name of the error; one of a minute is none, even where the text
// speaks of quota and billing, as Google's and Scaleway's do.
func (e *evidence) limit() Class {
	switch {
	case e.said.has(spent):
		return Quota
	case e.said.has(momentary):
		return RateLimit
	case e.marked.has(Quota), e.said.has(Quota) && !e.family.has(RateLimit):
		return Quota
	case e.marked.has(Overloaded), e.said.has(Overloaded) && !e.marked.has(RateLimit):
		return Overloaded
	}
	return RateLimit
}

// isSlow reports whether a status says that somebody did not answer in time.
// 522 and 524 are Cloudflare's.
func isSlow(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusGatewayTimeout, 522, 524:
		return true
	}
	return false
}

// classOfStatus is what a status means when the body says nothing.
func classOfStatus(status int) Class {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return Auth
	case http.StatusPaymentRequired:
		return Quota
	case http.StatusNotFound:
		return NotFound
	case http.StatusConflict, http.StatusServiceUnavailable, 529:
		return Overloaded
	case http.StatusRequestEntityTooLarge:
		return ContextWindow
	case http.StatusTooManyRequests:
		return RateLimit
	case http.StatusNotImplemented:
		return BadRequest
	}
	switch {
	case isSlow(status):
		return Timeout
	case status >= 400 && status < 500:
		return BadRequest
	}
	return ServerError // 5xx; and a 1xx or 3xx is no answer to a request like these
}

// phraseEntry is one wording of phrases.
type phraseEntry struct {
	says Class
	text string
}

// The tables of patterns.go in the form they are looked up in.
var (
	markerClasses  = indexMarkers(markers)
	familyClasses  = indexMarkers(families)
	phrasesByFirst = indexPhrases(phrases)
)

func indexMarkers(table []marker) map[string]Class {
	index := make(map[string]Class)
	for _, m := range table {
		for _, name := range m.names {
			var buf nameBuffer
			index[string(canonicalMarker(&buf, []byte(name)))] = m.class
		}
	}
	return index
}

// indexPhrases sorts phrases by their first byte, which is never a wildcard.
func indexPhrases(table []phrase) (index [256][]phraseEntry) {
	for _, p := range table {
		for _, text := range p.texts {
			index[text[0]] = append(index[text[0]], phraseEntry{p.says, text})
		}
	}
	return index
}
