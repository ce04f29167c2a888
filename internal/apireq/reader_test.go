package apireq

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func bodyOf(t testing.TB, s string) *Body {
	t.Helper()
	b, err := ReadBody(strings.NewReader(s), int64(len(s)), int64(len(s)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inUse is the number of references that a body has.
func inUse(b *Body) int64 { return b.refs.Load() }

func TestReaderSplices(t *testing.T) {
	for _, tt := range []struct {
		name, body  string
		start, end  int
		replacement string
		want        string
	}{
		{"the whole body", "0123456789", -1, -1, "ignored", "0123456789"},
		{"a span in the middle", "0123456789", 3, 5, "abc", "012abc56789"},
		{"a span at the beginning", "0123456789", 0, 5, "abc", "abc56789"},
		{"a span at the end", "0123456789", 5, 10, "abc", "01234abc"},
		{"everything", "0123456789", 0, 10, "abc", "abc"},
		{"an insertion", "0123456789", 5, 5, "abc", "01234abc56789"},
		{"a removal", "0123456789", 5, 6, "", "012346789"},
		{"an empty body", "", 0, 0, "abc", "abc"},
		{"more than one write", strings.Repeat("x", 2*maxWrite) + "model", 2 * maxWrite, 2*maxWrite + 5, "other", strings.Repeat("x", 2*maxWrite) + "other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bodyOf(t, tt.body)
			defer b.Release()
			r := b.NewReader(replaced(tt.start, tt.end, []byte(tt.replacement)))
			if r.Len() != int64(len(tt.want)) {
				t.Errorf("got length %d, want %d", r.Len(), len(tt.want))
			}
			if err := iotest.TestReader(r, []byte(tt.want)); err != nil {
				t.Error(err)
			}
			if r.Len() != int64(len(tt.want)) {
				t.Errorf("got length %d after reading, want %d", r.Len(), len(tt.want))
			}
			var buf bytes.Buffer
			n, err := b.NewReader(replaced(tt.start, tt.end, []byte(tt.replacement))).WriteTo(&buf)
			if err != nil || n != int64(len(tt.want)) || buf.String() != tt.want {
				t.Errorf("got %d bytes written, %v, want %d and the same text", n, err, len(tt.want))
			}
		})
	}
}

// replaced is one edit, or none with a negative start.
func replaced(start, end int, replacement []byte) (e Edits) {
	if start >= 0 {
		e.Replace(start, end, replacement)
	}
	return e
}

func TestReaderRefusesASpanOutsideTheBody(t *testing.T) {
	b := bodyOf(t, "0123456789")
	for _, span := range [][2]int{{0, 11}, {5, 4}, {11, 11}, {3, -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("span %v: got no panic, want one", span)
				}
			}()
			b.NewReader(replaced(span[0], span[1], nil))
		}()
	}
	b.Release()
	if got := inUse(b); got != 0 {
		t.Errorf("got %d references after panics, want 0", got)
	}
}

func TestReaderMixesReadAndWriteTo(t *testing.T) {
	b := bodyOf(t, "0123456789")
	r := b.NewReader(replaced(2, 4, []byte("ab")))
	head := make([]byte, 3)
	if _, err := io.ReadFull(r, head); err != nil || string(head) != "01a" {
		t.Fatalf("got %q, %v, want 01a", head, err)
	}
	var rest bytes.Buffer
	if n, err := r.WriteTo(&rest); err != nil || n != 7 || rest.String() != "b456789" {
		t.Errorf("got %q, %d, %v, want b456789", &rest, n, err)
	}
	if n, err := r.Read(head); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v at the end, want io.EOF", n, err)
	}
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Errorf("got %d, %v for an empty read, want 0 and no error", n, err)
	}
}

func TestReferences(t *testing.T) {
	b := bodyOf(t, "0123456789")
	r1, r2 := b.NewReader(Edits{}), b.NewReader(replaced(1, 2, []byte("x")))
	steps := []struct {
		name string
		do   func()
		want int64
	}{
		{"two readers", func() {}, 3},
		{"close one", func() { r1.Close() }, 2},
		{"close it again", func() { r1.Close() }, 2},
		{"release", b.Release, 1},
		{"release again", b.Release, 1},
		{"a reader after release", func() { b.NewReader(Edits{}).Close() }, 1},
		{"close the other", func() { r2.Close() }, 0},
		{"close all again", func() { r1.Close(); r2.Close(); b.Release() }, 0},
	}
	for _, s := range steps {
		if s.do(); inUse(b) != s.want {
			t.Errorf("%s: got %d references, want %d", s.name, inUse(b), s.want)
		}
	}
	late := b.NewReader(Edits{})
	if _, err := late.Read(make([]byte, 1)); err != ErrClosed || inUse(b) != 0 {
		t.Errorf("a reader of a body that is gone: got %v, %d references, want ErrClosed and 0", err, inUse(b))
	}
	if err := late.Close(); err != nil || inUse(b) != 0 {
		t.Errorf("its Close: got %v, %d references, want none", err, inUse(b))
	}
}

func TestReaderAfterClose(t *testing.T) {
	b := bodyOf(t, "0123456789")
	defer b.Release()
	r := b.NewReader(Edits{})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 4)); n != 0 || err != ErrClosed {
		t.Errorf("Read: got %d, %v, want ErrClosed", n, err)
	}
	if n, err := r.WriteTo(io.Discard); n != 0 || err != ErrClosed {
		t.Errorf("WriteTo: got %d, %v, want ErrClosed", n, err)
	}
	if r.Len() != 10 {
		t.Errorf("Len: got %d, want 10", r.Len())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Close must not wait for a connection that does not take the bytes, and the
// memory must stay until that write is over.
func TestCloseDuringWriteTo(t *testing.T) {
	b := bodyOf(t, strings.Repeat("x", 3*maxWrite))
	r := b.NewReader(Edits{})
	b.Release()
	writes := 0
	n, err := r.WriteTo(writerFunc(func(p []byte) (int, error) {
		writes++
		r.Close()
		if inUse(b) != 1 {
			t.Errorf("got %d references during the write, want 1", inUse(b))
		}
		if _, err := r.WriteTo(io.Discard); err == nil {
			t.Error("got no error of a write within a write, want one")
		}
		return len(p), nil
	}))
	if writes != 1 || n != maxWrite || err != ErrClosed {
		t.Errorf("got %d writes, %d bytes, %v, want 1 of %d and ErrClosed", writes, n, err, maxWrite)
	}
	if inUse(b) != 0 {
		t.Errorf("got %d references after the write, want 0", inUse(b))
	}
}

func TestTwoWritesAtOnceAreRefused(t *testing.T) {
	b := bodyOf(t, "0123456789")
	defer b.Release()
	r := b.NewReader(Edits{})
	defer r.Close()
	_, err := r.WriteTo(writerFunc(func(p []byte) (int, error) {
		if _, err := r.WriteTo(io.Discard); err != errTwoWriters {
			t.Errorf("got %v, want %v", err, errTwoWriters)
		}
		return len(p), nil
	}))
	if err != nil {
		t.Errorf("the first write: got %v, want no error", err)
	}
}

func TestWriteToPassesErrorsOn(t *testing.T) {
	boom := errors.New("boom")
	for name, tt := range map[string]struct {
		w    io.Writer
		want error
	}{
		"a failing writer": {writerFunc(func([]byte) (int, error) { return 3, boom }), boom},
		"a short writer":   {writerFunc(func([]byte) (int, error) { return 3, nil }), io.ErrShortWrite},
	} {
		b := bodyOf(t, "0123456789")
		r := b.NewReader(Edits{})
		if n, err := r.WriteTo(tt.w); n != 3 || err != tt.want {
			t.Errorf("%s: got %d, %v, want 3, %v", name, n, err, tt.want)
		}
		r.Close()
		b.Release()
		if inUse(b) != 0 {
			t.Errorf("%s: got %d references, want 0", name, inUse(b))
		}
	}
}

// A panic of the writer must leave a reader that can be closed.
func TestWriteToSurvivesAPanic(t *testing.T) {
	b := bodyOf(t, "0123456789")
	r := b.NewReader(Edits{})
	func() {
		defer func() { _ = recover() }()
		_, _ = r.WriteTo(writerFunc(func([]byte) (int, error) { panic("boom") }))
	}()
	r.Close()
	b.Release()
	if inUse(b) != 0 {
		t.Errorf("got %d references, want 0", inUse(b))
	}
}

// http.Transport may read a body after RoundTrip has returned, and closes it
// from another goroutine. Meanwhile the memory of a released body is used for
// the next one, so that a late read of it shows in the text or to the race
// detector.
func TestReadersOutliveTheRequest(t *testing.T) {
	const size = 64 << 10
	var requests sync.WaitGroup
	for _, letter := range []string{"a", "b", "c", "d"} {
		requests.Go(func() {
			for range 100 {
				oneRequest(t, strings.Repeat(letter, size))
			}
		})
	}
	requests.Wait()
}

// oneRequest makes three attempts with one body and leaves before they do.
func oneRequest(t *testing.T, text string) {
	b := bodyOf(t, text)
	var attempts sync.WaitGroup
	for i := range 3 {
		r := b.NewReader(replaced(10, 20, []byte(text[:5])))
		attempts.Go(func() {
			check := writerFunc(func(p []byte) (int, error) {
				if strings.Trim(string(p), text[:1]) != "" {
					t.Errorf("got another request's bytes, want only %q", text[:1])
				}
				return len(p), nil
			})
			var err error
			if i == 0 {
				_, err = r.WriteTo(check)
			} else {
				_, err = io.Copy(check, struct{ io.Reader }{r}) // Read, 32 KiB at a time
			}
			if err != nil && err != ErrClosed {
				t.Errorf("got %v, want no error or ErrClosed", err)
			}
			r.Close()
		})
		attempts.Go(func() { r.Close() })
	}
	b.Release()
	attempts.Wait()
	if inUse(b) != 0 {
		t.Errorf("got %d references at the end, want 0", inUse(b))
	}
}

// The real transport: a server that answers without reading, so that the body
// is still being sent when the answer is there.
func TestReaderUnderTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/echo" {
			_, _ = io.Copy(w, r.Body)
		}
	}))
	defer server.Close()
	body := strings.Repeat("x", 8<<20)
	for _, path := range []string{"/echo", "/ignore"} {
		b := bodyOf(t, body)
		r := b.NewReader(replaced(0, 1, []byte("model")))
		req, err := http.NewRequest(http.MethodPost, server.URL+path, r)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = r.Len()
		res, err := server.Client().Do(req)
		if err == nil {
			got, readErr := io.ReadAll(res.Body)
			res.Body.Close()
			if want := "model" + body[1:]; path == "/echo" && (readErr != nil || string(got) != want) {
				t.Errorf("got %d bytes back, %v, want %d", len(got), readErr, len(want))
			}
		} else if path == "/echo" {
			t.Error(err)
		}
		b.Release()
		for end := time.Now().Add(10 * time.Second); inUse(b) != 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: got %d references, want the transport to close its reader", path, inUse(b))
			}
		}
	}
}

func TestEdits(t *testing.T) {
	type span struct {
		start, end  int
		replacement string
	}
	for name, tt := range map[string]struct {
		edits []span
		want  string
	}{
		"none":                       {nil, "0123456789"},
		"in order":                   {[]span{{1, 2, "a"}, {4, 6, ""}, {9, 10, "bcd"}}, "0a23678bcd"},
		"in another order":           {[]span{{9, 10, "bcd"}, {1, 2, "a"}, {4, 6, ""}}, "0a23678bcd"},
		"side by side":               {[]span{{2, 4, "b"}, {0, 2, "a"}, {4, 5, "c"}}, "abc56789"},
		"insertions at one place":    {[]span{{1, 1, "a"}, {1, 1, "b"}, {5, 5, "c"}}, "0ab1234c56789"},
		"an insertion before a span": {[]span{{1, 1, "a"}, {1, 2, "b"}}, "0ab23456789"},
	} {
		t.Run(name, func(t *testing.T) {
			b := bodyOf(t, "0123456789")
			defer b.Release()
			var edits Edits
			for _, e := range tt.edits {
				edits.Replace(e.start, e.end, []byte(e.replacement))
			}
			if got := string(b.Append(nil, edits)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := edits.Len(10); got != len(tt.want) {
				t.Errorf("got length %d, want %d", got, len(tt.want))
			}
			r := b.NewReader(edits)
			defer r.Close()
			if err := iotest.TestReader(r, []byte(tt.want)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEditsThatOverlapPanic(t *testing.T) {
	b := bodyOf(t, "0123456789")
	defer b.Release()
	defer func() {
		if recover() == nil {
			t.Error("got no panic, want one")
		}
	}()
	var edits Edits
	edits.Replace(2, 5, nil)
	edits.Replace(4, 6, nil)
	b.Append(nil, edits)
}

func BenchmarkNewReader(b *testing.B) {
	body := bodyOf(b, strings.Repeat("x", 32<<10))
	replacement := JSONString("gpt-4o")
	b.ReportAllocs()
	for b.Loop() {
		r := body.NewReader(replaced(100, 110, replacement))
		if _, err := r.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

func TestAppendGivesWhatAReaderReads(t *testing.T) {
	const text = `{"model":"a","n":1}`
	for name, span := range map[string][2]int{"whole": {-1, -1}, "replaced": {9, 12}, "inserted": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			b, err := ReadBody(strings.NewReader(text), int64(len(text)), 1<<10)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Release()
			r := b.NewReader(replaced(span[0], span[1], []byte(`"longer"`)))
			defer r.Close()
			want, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.Append([]byte("x"), replaced(span[0], span[1], []byte(`"longer"`))); string(got) != "x"+string(want) {
				t.Errorf("got %s, want x%s", got, want)
			}
		})
	}
}
