package apireq

import (
	"errors"
	"fmt"
)

// What a body can be refused for. Each comes wrapped in a *ScanError that says
// where. The texts are meant for the client.
var (
	// ErrNotObject is a body that does not begin with a JSON object.
	ErrNotObject = errors.New("the request body is not a JSON object")
	// ErrUnterminated is a string, bracket or form part that does not close.
	ErrUnterminated = errors.New("the request body ends too early")
	// ErrSyntax is JSON that is malformed at the top level of the object.
	ErrSyntax = errors.New("the request body is not valid JSON")
	// ErrTrailing is anything but white space after the JSON object.
	ErrTrailing = errors.New("the request body goes on after the JSON object")
	// ErrModelTwice is a second top-level model: the router and the upstream
	// might read different ones.
	ErrModelTwice = errors.New(`"model" is given more than once`)
	// ErrModelKey is a key that only some servers read as model, such as "Model".
	ErrModelKey = errors.New(`"model" is spelled in another way`)
	// ErrModelType is a model that is not a string.
	ErrModelType = errors.New(`"model" is not a string`)
	// ErrModelText is a model with control characters or invalid Unicode.
	ErrModelText = errors.New(`"model" is not printable text`)
	// ErrModelLong is a model of more than MaxModelLen bytes.
	ErrModelLong = errors.New(`"model" is too long`)
	// ErrStreamTwice is a second top-level stream.
	ErrStreamTwice = errors.New(`"stream" is given more than once`)
	// ErrStreamKey is a key that only some servers read as stream.
	ErrStreamKey = errors.New(`"stream" is spelled in another way`)
	// ErrStreamType is a stream that is neither true, false nor null. Some
	// servers take 1 or "true" for true and others refuse them.
	ErrStreamType = errors.New(`"stream" is not a boolean`)
	// ErrBoundary is a form boundary that RFC 2046 does not allow.
	ErrBoundary = errors.New("the multipart boundary is missing or not valid")
	// ErrForm is a form whose boundary lines are malformed.
	ErrForm = errors.New("the request body is not a valid multipart form")
	// ErrPartHeader is a form part whose header is malformed, larger than
	// 16 KiB, or read differently by different servers.
	ErrPartHeader = errors.New("a part of the multipart form has a header that is not valid")
	// ErrTooManyParts is a form of more than 1000 parts.
	ErrTooManyParts = errors.New("the multipart form has too many parts")
)

// What reading and sending a body can fail with.
var (
	// ErrTooLarge is a body of more bytes than allowed.
	ErrTooLarge = errors.New("the request body is too large")
	// ErrClosed is the use of a Reader after its Close.
	ErrClosed = errors.New("apireq: read from a closed request body")

	errTwoWriters = errors.New("apireq: two writes of one request body at once")
)

// ScanError is a refused body: one of the errors above and its place.
type ScanError struct {
	Err error
	// Offset is the byte of the body at which the fault shows.
	Offset int
}

func (e *ScanError) Error() string { return fmt.Sprintf("%v (at byte %d)", e.Err, e.Offset) }

func (e *ScanError) Unwrap() error { return e.Err }

// Param is the request field at fault, "model" or "stream". Empty: the body as
// a whole.
func (e *ScanError) Param() string {
	switch e.Err {
	case ErrModelTwice, ErrModelKey, ErrModelType, ErrModelText, ErrModelLong:
		return "model"
	case ErrStreamTwice, ErrStreamKey, ErrStreamType:
		return "stream"
	}
	return ""
}

func fail(err error, offset int) error { return &ScanError{Err: err, Offset: offset} }
