package retry

import "bytes"

// ClassifyEvent says what the data of one event of a stream, one line of NDJSON
// or a whole 200 body means: None unless it is an error, in any of the shapes
// that come inside a good status. Ordinary events are told by their top-level
// members and cost one pass and no allocation.
func ClassifyEvent(data []byte) Class {
	data = bytes.TrimSpace(data[:min(len(data), maxBody)])
	if !isErrorEvent(data) {
		return None
	}
	var e evidence
	walk(data, e.visit)
	return e.class(0)
}

// isErrorEvent decides from the top-level members alone.
func isErrorEvent(data []byte) bool {
	s, ok := scan(data)
	if !ok {
		return false
	}
	if s.array { // Vertex wraps its errors in an array
		_, first, ok := s.next()
		return ok && isError(member(first, "error"))
	}
	message, foreign := false, false
	for {
		key, value, ok := s.next()
		if !ok {
			break
		}
		switch string(key) {
		case "error", "errors", "error_code", "error_type", "errorCode", "__type":
			if isError(value) {
				return true
			}
		case "type", "object", "event":
			switch name := unquote(value); {
			case isErrorName(name):
				return true
			case isOrdinaryName(name):
				return false
			}
		case "base_resp": // MiniMax
			return isError(member(value, "status_code"))
		case "message", "msg", "detail":
			message = message || len(value) > 0 && (value[0] == '"' || string(key) == "detail")
			foreign = foreign || len(value) > 0 && value[0] == '{' && string(key) == "message"
		case "code", "status":
			foreign = foreign || isSuccess(unquote(value))
		case "metadata", "param", "request_id", "requestId", "id", "user_id", "success", "originalStatusCode", "originalMessage":
		default:
			if len(value) > 0 && value[0] == '{' && bytes.HasSuffix(key, []byte("Exception")) {
				return true // an exception of an AWS event stream
			}
			foreign = foreign || isError(value)
		}
	}
	// What is left is an error object without its envelope: a message, and
	// nothing that is content.
	return message && !foreign
}

// isErrorName reports whether a type or object member names an error: error,
// response.failed, rate_limit_error, BadRequestError.
func isErrorName(name []byte) bool {
	return string(name) == "response.failed" ||
		bytes.HasSuffix(name, []byte("error")) || bytes.HasSuffix(name, []byte("Error"))
}

// isOrdinaryName knows the families of events that are no errors, so that the
// rest of a long one need not be read.
func isOrdinaryName(name []byte) bool {
	for _, prefix := range [...]string{"response.", "content", "message", "ping"} {
		if len(name) >= len(prefix) && string(name[:len(prefix)]) == prefix {
			return true
		}
	}
	return false
}

// isSuccess reports whether a code or status member says that all is well.
func isSuccess(value []byte) bool {
	switch string(value) {
	case "0", "200", "201", "20000", "success", "ok", "OK", "completed", "in_progress":
		return true
	}
	return false
}
