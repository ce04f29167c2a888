package caddyharness

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(logWriter{})
}

// Entry is one line of Caddy's log.
type Entry struct {
	Level  string
	Logger string
	Msg    string
	// Fields are all of the line's fields, these three included.
	Fields map[string]any
	// Raw is the whole line, for a test that something is not in it.
	Raw string
}

// Logs are the lines so far, oldest first.
func (s *Server) Logs() []Entry {
	lines, _ := s.logs.snapshot()
	return lines
}

// WaitForLog waits until a line matches and returns the first one that does. An
// access log line, say, is written after the client has its response. After 5
// seconds the test fails and shows the whole log.
func (s *Server) WaitForLog(t testing.TB, match func(Entry) bool) Entry {
	t.Helper()
	return s.waitForLog(t, match, 0)
}

// waitForLog waits for matching line number n, counted from 0.
func (s *Server) waitForLog(t testing.TB, match func(Entry) bool, n int) Entry {
	t.Helper()
	timeout := time.After(5 * time.Second)
	for {
		lines, changed := s.logs.snapshot()
		before := 0
		for _, e := range lines {
			if !match(e) {
				continue
			}
			if before == n {
				return e
			}
			before++
		}
		select {
		case <-changed:
		case <-timeout:
			var all strings.Builder
			for _, e := range lines {
				all.WriteString("\n" + e.Raw)
			}
			t.Fatalf("waited 5s for a log line; the log is:%s", all.String())
		}
	}
}

// AccessLog waits for access log line number n, counted from 0.
func (s *Server) AccessLog(t testing.TB, n int) Entry {
	t.Helper()
	return s.waitForLog(t, func(e Entry) bool { return strings.HasPrefix(e.Logger, "http.log.access") }, n)
}

// logBuffers finds the buffer of a test by the name in its config: a module has
// no other way to reach what is outside of it.
var logBuffers sync.Map

// logBuffer keeps what Caddy logs.
type logBuffer struct {
	name string

	mu      sync.Mutex
	entries []Entry
	changed chan struct{} // closed and replaced with each line
}

func newLogBuffer(t testing.TB, name string) *logBuffer {
	b := &logBuffer{name: name, changed: make(chan struct{})}
	logBuffers.Store(name, b)
	t.Cleanup(func() { logBuffers.Delete(name) })
	return b
}

func (b *logBuffer) snapshot() ([]Entry, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clip(b.entries), b.changed
}

// Write takes whole lines, which is what zap writes.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range bytes.Lines(p) {
		e := Entry{Raw: string(bytes.TrimRight(line, "\n"))}
		if json.Unmarshal(line, &e.Fields) == nil {
			e.Level, _ = e.Fields["level"].(string)
			e.Logger, _ = e.Fields["logger"].(string)
			e.Msg, _ = e.Fields["msg"].(string)
		}
		b.entries = append(b.entries, e)
	}
	close(b.changed)
	b.changed = make(chan struct{})
	return len(p), nil
}

// Close does nothing: the lines are read after Caddy has closed its writers.
func (*logBuffer) Close() error { return nil }

// logWriter is the module that makes Caddy write into a logBuffer.
type logWriter struct {
	// The name of the buffer.
	Name string `json:"name"`
}

// CaddyModule returns the Caddy module information.
func (logWriter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.writers.caddyharness",
		New: func() caddy.Module { return new(logWriter) },
	}
}

func (w logWriter) String() string    { return "caddyharness " + w.Name }
func (w logWriter) WriterKey() string { return "caddyharness:" + w.Name }

func (w logWriter) OpenWriter() (io.WriteCloser, error) {
	b, ok := logBuffers.Load(w.Name)
	if !ok {
		return nil, errors.New("no such test log: " + w.Name)
	}
	return b.(*logBuffer), nil
}

var _ caddy.WriterOpener = logWriter{}
