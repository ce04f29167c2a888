package retry

import "bytes"

const (
	// maxBody is how much of a body is looked at. Errors are short; what is
	// longer echoes the request.
	maxBody = 64 << 10
	// maxText is how much of one message is looked at, for the same reason.
	maxText = 4 << 10
	// maxDepth is how deep error objects nest, double-encoded ones included.
	maxDepth = 8
)

// field says what a member of an error object may tell.
type field uint16

const (
	fieldMarker  field = 1 << iota // a machine-readable name
	fieldText                      // a sentence
	fieldStatus                    // an HTTP status
	fieldNest                      // an object or array that is part of the error
	fieldPrompt                    // the size of a prompt that did not fit
	fieldQuota                     // the id of a quota that is used up
	fieldSeconds                   // a wait in seconds or with a unit
	fieldMillis                    // a wait in milliseconds
	fieldReset                     // when a limit resets
)

// fields knows the members of error objects by canonical name. Members that are
// not here are neither read nor descended into: they echo what the user wrote
// (input, failed_generation, instructions), and that must not decide anything.
var fields = map[string]field{
	"code":               fieldMarker | fieldStatus,
	"type":               fieldMarker,
	"status":             fieldMarker | fieldStatus,
	"reason":             fieldMarker,
	"errorcode":          fieldMarker | fieldStatus,
	"errcode":            fieldMarker,
	"errortype":          fieldMarker,
	"errorname":          fieldMarker,
	"exceptiontype":      fieldMarker,
	"statuscode":         fieldStatus,
	"httpstatus":         fieldStatus,
	"httpstatuscode":     fieldStatus,
	"rawstatuscode":      fieldStatus,
	"originalstatuscode": fieldStatus,

	"message":          fieldText | fieldNest,
	"msg":              fieldText,
	"error":            fieldText | fieldNest,
	"detail":           fieldText | fieldNest,
	"title":            fieldText,
	"description":      fieldText,
	"errormessage":     fieldText | fieldNest,
	"errormsg":         fieldText,
	"errordescription": fieldText,
	"statusmsg":        fieldText,
	"originalmessage":  fieldText,
	"raw":              fieldText | fieldNest, // OpenRouter: the provider's own body

	"errors":     fieldNest,
	"details":    fieldNest | fieldText,
	"innererror": fieldNest,
	"metadata":   fieldNest,
	"violations": fieldNest,
	"response":   fieldNest,
	"baseresp":   fieldNest, // MiniMax
	"fault":      fieldNest, // Apigee
	"cause":      fieldNest,
	"headers":    fieldNest, // OpenRouter: the provider's headers

	"nprompttokens": fieldPrompt, // llama.cpp
	"quotaid":       fieldQuota,  // Google's QuotaFailure

	"retrydelay":        fieldSeconds, // Google's RetryInfo
	"retryafter":        fieldSeconds, // Cloudflare
	"retryafterseconds": fieldSeconds,
	"estimatedtime":     fieldSeconds, // Hugging Face, while a model loads
	"retryafterms":      fieldMillis,
	"xratelimitreset":   fieldReset,
}

// walk hands every string and number of an error body that may say what
// happened to visit, with its escapes resolved. Strings that hold another JSON
// document are opened. A body that is no JSON is one text; of a page of HTML
// nothing is read, because it says more about the proxy than about the error.
func walk(body []byte, visit func(f field, value []byte)) {
	body = bytes.TrimSpace(body[:min(len(body), maxBody)])
	if len(body) == 0 || body[0] == '<' {
		return
	}
	if s, ok := scan(body); ok {
		if _, _, ok = s.next(); !ok { // {'error': ...}, as Python prints it
			visit(fieldText, body[:min(len(body), maxText)])
			return
		}
	}
	walkValue(body, fieldText|fieldNest, maxDepth, visit)
}

func walkValue(value []byte, f field, depth int, visit func(f field, value []byte)) {
	if len(value) == 0 || depth == 0 {
		return
	}
	s, ok := scan(value)
	if !ok {
		walkScalar(value, f, depth, visit)
		return
	}
	if f&fieldNest == 0 {
		return
	}
	// Beside an error object, only scalars are the error's; a metadata object
	// there is the user's own, as in the Responses API.
	beside := depth == maxDepth && isError(member(value, "error"))
	for {
		key, inner, ok := s.next()
		if !ok {
			return
		}
		if s.array {
			walkValue(inner, f, depth-1, visit)
			continue
		}
		var buf nameBuffer
		name := canonical(&buf, key)
		g := fields[string(name)]
		switch {
		case bytes.HasSuffix(name, []byte("exception")): // AWS event streams: the key is the name
			visit(fieldMarker, key)
			g = fieldText | fieldNest
		case beside && string(name) != "error":
			g &^= fieldNest
		case string(name) == "response": // of the Responses API; all but its error echoes the request
			inner = member(inner, "error")
		}
		if g != 0 {
			walkValue(inner, g, depth-1, visit)
		}
	}
}

// walkScalar visits a string, number or literal.
func walkScalar(value []byte, f field, depth int, visit func(f field, value []byte)) {
	text := value
	if value[0] == '"' {
		text = bytes.TrimSpace(unescape(unquote(value)))
	}
	if len(text) == 0 || string(text) == "null" {
		return
	}
	if f&fieldText == 0 {
		visit(f, text)
		return
	}
	if i := embedded(text); i >= 0 {
		walkValue(text[i:], fieldText|fieldNest, depth-1, visit)
		text = text[:i]
	}
	if i := bytes.Index(text, []byte("input_value=")); i >= 0 { // Pydantic quotes the request from here on
		text = text[:i]
	}
	if len(text) > 0 {
		visit(f, text[:min(len(text), maxText)])
	}
}

// embedded finds a JSON document inside a text, -1 if there is none.
func embedded(text []byte) int {
	for i := 0; i < len(text); i++ {
		n := bytes.IndexByte(text[i:], '{')
		if n < 0 {
			return -1
		}
		i += n
		if rest := bytes.TrimLeft(text[i+1:min(i+64, len(text))], " \r\n\t"); len(rest) > 0 && rest[0] == '"' {
			return i
		}
	}
	return -1
}

// isError reports whether the value of an error member is an error: null,
// false, empty and zero are not.
func isError(value []byte) bool {
	switch string(value) {
	case "", "null", "false", "0", `""`, "{}", "[]":
		return false
	}
	return true
}
