package api

import (
	"encoding/json"
	"net/http"
)

// Error is an error of the router's own, before it is written in a dialect.
type Error struct {
	// Status is the HTTP status of the answer.
	Status int
	// Message is a sentence for the person who reads the client's log.
	Message string
	// Type is the error's family in OpenAI's terms, such as
	// "invalid_request_error". Empty: derived from Status.
	Type string
	// Param names the request field at fault, if one is.
	Param string
	// Code is the machine-readable reason, such as "model_not_found".
	Code string
}

func (e Error) Error() string { return e.Message }

type openAIEnvelope struct {
	Error openAIError `json:"error"`
}

type openAIError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

type anthropicEnvelope struct {
	Type  string         `json:"type"`
	Error anthropicError `json:"error"`
}

type anthropicError struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// JSON renders the error as a response body in dialect d, without a newline.
func (e Error) JSON(d Dialect) []byte {
	var v any
	switch {
	case d == Messages:
		v = anthropicEnvelope{Type: "error", Error: anthropicError{Type: e.anthropicType(), Message: e.Message}}
	case d.NDJSON():
		v = struct {
			Error string `json:"error"`
		}{e.Message}
	default:
		v = openAIEnvelope{openAIError{
			Message: e.Message, Type: e.openAIType(), Param: optional(e.Param), Code: optional(e.Code),
		}}
	}
	body, err := json.Marshal(v)
	if err != nil { // strings alone always marshal
		panic(err)
	}
	return body
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (e Error) openAIType() string {
	switch {
	case e.Type != "":
		return e.Type
	case e.Status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case e.Status == http.StatusUnauthorized:
		return "authentication_error"
	case e.Status == http.StatusForbidden:
		return "permission_error"
	case e.Status < 500:
		return "invalid_request_error"
	}
	return "server_error"
}

// anthropicType follows the table of error types in Anthropic's API reference.
func (e Error) anthropicType() string {
	switch e.Status {
	case http.StatusBadRequest:
		return "invalid_request_error"
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusGatewayTimeout:
		return "timeout_error"
	case http.StatusServiceUnavailable, 529:
		return "overloaded_error"
	}
	if e.Status < 500 {
		return "invalid_request_error"
	}
	return "api_error"
}
