package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/sse"
)

// maxAnswer is the largest answer that is read, in bytes. A probe asks for a
// few words.
const maxAnswer = 4 << 20

var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)

// readWhole reads an answer that does not stream, good or not.
func (r *result) readWhole(body io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(raw) > maxAnswer {
		return errTooLarge
	}
	answer := gjson.Result{}
	if gjson.ValidBytes(raw) {
		answer = gjson.ParseBytes(raw)
	}
	r.Model = printable(answer.Get("model").String(), maxName)
	switch {
	case r.Status != http.StatusOK:
		if message := errorMessage(answer); message != "" {
			return errors.New(message)
		}
		return errors.New(statusText(r.Status))
	case !answer.Exists():
		return errors.New("the answer is not JSON")
	case len(answer.Get("choices").Array()) == 0:
		if message := errorMessage(answer); message != "" {
			return errors.New(message)
		}
		return errors.New("the answer has no choices")
	}
	return nil
}

// readStream reads a streamed answer and tells whether it was complete.
func (r *result) readStream(body io.Reader) error {
	limited := &io.LimitedReader{R: body, N: maxAnswer + 1}
	events, tracker := sse.NewReader(limited, false), sse.NewTracker(api.Chat)
	for {
		ev, err := events.Next()
		if limited.N == 0 {
			return errTooLarge
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		mark := sse.Inspect(api.Chat, ev)
		tracker.Observe(mark)
		if mark.Kind == sse.Error {
			if message := errorMessage(gjson.ParseBytes(ev.Data)); message != "" {
				return errors.New(message)
			}
			return errors.New("the stream ended with an error")
		}
		if mark.Kind == sse.Content && r.FirstToken == 0 {
			r.FirstToken = time.Since(r.Time)
		}
		if r.Model == "" && mark.Kind != sse.Invalid {
			r.Model = printable(gjson.GetBytes(ev.Data, "model").String(), maxName)
		}
	}
	switch {
	case !tracker.Complete():
		return errors.New("the stream stopped before its end")
	case r.FirstToken == 0:
		return errors.New("the stream had no content")
	}
	return nil
}

// errorMessage finds the text of an error in the usual places.
func errorMessage(answer gjson.Result) string {
	for _, path := range []string{"error.message", "message", "detail", "error"} {
		if text := answer.Get(path); text.Type == gjson.String && text.Str != "" {
			return text.Str
		}
	}
	return ""
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "status " + strconv.Itoa(status)
}
