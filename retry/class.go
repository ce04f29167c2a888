// Package retry knows what a failed attempt means and how long to wait before
// the next one: error classes, wait hints, backoff and the retry budget. It
// decides from status, headers and body alone and knows no transport.
package retry

// Class says what a failed attempt means for the router.
type Class uint8

const (
	// None is a good answer.
	None Class = iota
	// Connection is a failure to dial, a TLS failure, or a reset before the response.
	Connection
	// Timeout is a 408 or 504, or a limit of the router's own that ran out.
	Timeout
	// RateLimit says that the deployment has had enough for a moment.
	RateLimit
	// Quota says that the account behind the deployment has run out of money or allowance.
	Quota
	// Auth says that the router's own key for the deployment is not accepted.
	Auth
	// ClientAuth says that the client's own key is not accepted.
	ClientAuth
	// NotFound says that the deployment does not know the model.
	NotFound
	// Overloaded says that the deployment is alive and too busy.
	Overloaded
	// ServerError is any other failure of the deployment's own.
	ServerError
	// ContextWindow says that the prompt is too long for the model.
	ContextWindow
	// ContentPolicy says that the prompt or the answer was filtered.
	ContentPolicy
	// BadRequest is a request that no deployment would accept.
	BadRequest
	// Canceled says that the client went away; nobody failed.
	Canceled

	// NumClasses is the number of classes, for tables indexed by class.
	NumClasses
)

var classNames = [NumClasses]string{
	None:          "none",
	Connection:    "connection",
	Timeout:       "timeout",
	RateLimit:     "rate_limit",
	Quota:         "quota",
	Auth:          "auth",
	ClientAuth:    "client_auth",
	NotFound:      "not_found",
	Overloaded:    "overloaded",
	ServerError:   "server_error",
	ContextWindow: "context_window",
	ContentPolicy: "content_policy",
	BadRequest:    "bad_request",
	Canceled:      "canceled",
}

// String is the name of the class in configuration, logs and metrics.
func (c Class) String() string {
	if c >= NumClasses {
		return "unknown"
	}
	return classNames[c]
}

// ParseClass finds a class that a configuration may name. None and Canceled
// are no failures of a deployment and cannot be configured.
func ParseClass(name string) (Class, bool) {
	for c := Connection; c < Canceled; c++ {
		if classNames[c] == name {
			return c, true
		}
	}
	return None, false
}

// Blames reports whether the class is the deployment's own failure, so that
// another deployment may do better with the same request.
func (c Class) Blames() bool {
	switch c {
	case Connection, Timeout, RateLimit, Quota, Auth, NotFound, Overloaded, ServerError:
		return true
	default:
		return false
	}
}
