package llmrouter

import (
	"errors"
	"net/http"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/cache"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// recorder gives a client its answer, and to others who wait for the same. When the
// client goes away it goes on for them. It is used by one goroutine, but for interim
// answers.
type recorder struct {
	http.ResponseWriter
	flight *cache.Flight
	// stored is when the oldest part of the answer was kept; zero where it is new.
	stored time.Time
	// gone tells that the client has gone, and why.
	gone bool
	why  error
}

// WriteHeader implements http.ResponseWriter. The headers are set by then.
func (rec *recorder) WriteHeader(status int) {
	if status >= http.StatusOK {
		rec.begin(status)
	}
	rec.ResponseWriter.WriteHeader(status)
}

// begin tells whether the answer may be shared: it is good, from the pool itself, and
// of a kind whose end is known.
func (rec *recorder) begin(status int) {
	h := rec.Header()
	contentType := h.Get("Content-Type")
	stream, ok := cache.Keepable(contentType)
	encoding := h.Get("Content-Encoding")
	if !ok || status != http.StatusOK || h.Get("X-Llm-Fallbacks") != "0" || encoding != "" && encoding != "identity" {
		rec.flight.Refuse()
		return
	}
	rec.flight.Begin(cache.Head{ContentType: contentType, Deployment: h.Get("X-Llm-Deployment"), Stream: stream, Stored: rec.stored})
}

// Write implements http.ResponseWriter.
func (rec *recorder) Write(p []byte) (int, error) {
	rec.flight.Write(p)
	if rec.gone {
		return len(p), rec.lost(rec.why)
	}
	n, err := rec.ResponseWriter.Write(p)
	if err != nil {
		return len(p), rec.lost(err)
	}
	return n, nil
}

// FlushError sends the client what was written, for http.ResponseController.
func (rec *recorder) FlushError() error {
	if rec.gone {
		return nil
	}
	err := http.NewResponseController(rec.ResponseWriter).Flush()
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return rec.lost(err)
	}
	return err
}

// lost takes note that the client cannot be reached. It is an error unless somebody
// else waits.
func (rec *recorder) lost(err error) error {
	rec.gone, rec.why = true, err
	if rec.flight.Followed() {
		return nil
	}
	return err
}

// received is how a request has ended for its client, which may have gone while the
// answer came for others.
func received(w http.ResponseWriter, class retry.Class) retry.Class {
	if rec, ok := w.(*recorder); ok && rec.gone && class == retry.None {
		return retry.Canceled
	}
	return class
}

// notShared keeps what comes next from those who wait for the same: it tells of a
// failure, even if it has the head of a good answer.
func notShared(w http.ResponseWriter) {
	if rec, ok := w.(*recorder); ok {
		rec.flight.Refuse()
	}
}

// partsSince tells those who wait for the same how old a part of the answer is.
func partsSince(w http.ResponseWriter, stored time.Time) {
	if rec, ok := w.(*recorder); ok {
		rec.stored = stored
	}
}

// Unwrap lets http.ResponseController reach what it wraps.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }
