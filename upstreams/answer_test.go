package upstreams

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

func response(status int, contentType string, body io.Reader) *http.Response {
	h := make(http.Header)
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	return &http.Response{
		StatusCode: status, Header: h, Body: io.NopCloser(body), ContentLength: -1,
		ProtoMajor: 1, ProtoMinor: 1, // and no Request: not every transport sets it
	}
}

func TestNewAnswerKnowsTheKind(t *testing.T) {
	tests := []struct {
		contentType, encoding string
		streams, json, ndjson bool
	}{
		{"application/json", "", false, true, false},
		{"application/json; charset=utf-8", "", false, true, false},
		{"Application/JSON", "", false, true, false},
		{"text/event-stream", "", true, false, false},
		{"text/event-stream; charset=utf-8", "", true, false, false},
		{"text/event-stream;;", "", true, false, false},
		{"application/x-ndjson", "", true, false, true},
		{"application/ndjson", "identity", true, false, true},
		{"audio/mpeg", "", false, false, false},
		{"", "", false, false, false},
		{"text/event-stream", "gzip", false, false, false},
		{"application/json", "gzip", false, false, false},
		{"application/jsonp", "", false, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.contentType+" "+tt.encoding, func(t *testing.T) {
			res := response(200, tt.contentType, strings.NewReader(""))
			if tt.encoding != "" {
				res.Header.Set("Content-Encoding", tt.encoding)
			}
			a := newAnswer(res, api.DialectOf("/v1/chat/completions"))
			if a.streams != tt.streams || a.json != tt.json || a.ndjson != tt.ndjson {
				t.Errorf("got streams %v, json %v, ndjson %v; want %v, %v, %v", a.streams, a.json, a.ndjson, tt.streams, tt.json, tt.ndjson)
			}
		})
	}
}

func TestAnswerRead(t *testing.T) {
	long := strings.Repeat("0123456789", 10_000)
	tests := []struct {
		name     string
		body     io.Reader
		limit    int
		held     int
		complete bool
	}{
		{"whole", strings.NewReader(long), holdWholeLimit, len(long), true},
		{"whole, byte by byte", iotest.OneByteReader(strings.NewReader(long)), holdWholeLimit, len(long), true},
		{"end together with the last bytes", iotest.DataErrReader(strings.NewReader(long)), holdWholeLimit, len(long), true},
		{"empty", strings.NewReader(""), holdWholeLimit, 0, true},
		{"longer than the limit", strings.NewReader(strings.Repeat(long, 20)), holdWholeLimit, holdWholeLimit, false},
		{"as long as the limit", strings.NewReader(strings.Repeat("x", holdWholeLimit)), holdWholeLimit, holdWholeLimit, false},
		{"only what comes first", iotest.OneByteReader(strings.NewReader(long)), firstRead, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAnswer(response(200, "application/json", tt.body), api.Other)
			defer a.close()
			if err := a.read(tt.limit); err != nil {
				t.Fatal(err)
			}
			if len(a.held) != tt.held || a.complete != tt.complete {
				t.Errorf("got %d bytes, complete %v; want %d, %v", len(a.held), a.complete, tt.held, tt.complete)
			}
		})
	}
}

func TestAnswerReadFails(t *testing.T) {
	cut := errors.New("cut")
	a := newAnswer(response(200, "application/json", io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(cut))), api.Other)
	defer a.close()
	if err := a.read(holdWholeLimit); err != cut {
		t.Errorf("got %v, want %v", err, cut)
	}
	if a.complete {
		t.Error("an answer that was cut passes for complete")
	}
}

func TestLengthKnown(t *testing.T) {
	tests := []struct {
		name     string
		status   int
		complete bool
		streams  bool
		want     bool
	}{
		{"held whole", 200, true, false, true},
		{"not whole", 200, false, false, false},
		{"a stream", 200, true, true, false},
		{"no content", 204, true, false, false},
		{"not modified", 304, true, false, false},
		{"redirect", 302, true, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := answer{res: response(tt.status, "", strings.NewReader("")), complete: tt.complete, streams: tt.streams}
			if got := a.lengthKnown(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestReadRefusalIsBounded(t *testing.T) {
	for _, tt := range []struct {
		size, want int
		whole      bool
	}{{10, 10, true}, {maxRefusal, maxRefusal, true}, {maxRefusal + 1, maxRefusal, false}, {3 * maxRefusal, maxRefusal, false}} {
		a := answer{res: response(500, "", strings.NewReader(strings.Repeat("x", tt.size)))}
		body, err := a.readRefusal()
		if len(body) != tt.want || (err == nil) != tt.whole {
			t.Errorf("%d bytes: got %d and %v; want %d, whole %v", tt.size, len(body), err, tt.want, tt.whole)
		}
	}
}

func TestHoldBuffersComeEmpty(t *testing.T) {
	b := append(getHold(), "secret"...)
	putHold(b)
	if got := getHold(); len(got) != 0 {
		t.Errorf("got %q, want nothing", got)
	}
	putHold(make([]byte, 0, maxPooledHold+1)) // not kept; nothing to see from here but that it does not panic
}
