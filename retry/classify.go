package retry

import "net/http"

// Classify says what a failed response means. It is total: any status, any
// headers and any body, however broken, have a class. A status of the 2xx is
// None unless the body is an error all the same.
//
// The body decides before the status, and in the body names made for machines
// decide before sentences; a 429 is never ContextWindow. 401 and 403 that are
// about a key are Auth; whose key it was, the caller knows. At most the first
// 64 KiB of the body are looked at.
func Classify(status int, header http.Header, body []byte) Class {
	if status >= 200 && status < 300 {
		return ClassifyEvent(body)
	}
	var e evidence
	if name := header.Get("X-Amzn-Errortype"); name != "" {
		e.marker([]byte(name))
	}
	walk(body, e.visit)
	return e.class(status)
}

// NamesModel tells whether the body of a NotFound says what was not found: a
// model or a deployment. A bare "404 page not found" may be about the path.
func NamesModel(body []byte) bool {
	body = body[:min(len(body), maxBody)]
	for _, word := range [...]string{"model", "deployment", "endpoint", "entity"} {
		for i := range body {
			if lower(body[i]) == word[0] && match(body, i, word) >= 0 {
				return true
			}
		}
	}
	return false
}
