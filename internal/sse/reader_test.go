package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// chunked gives text in pieces of the given sizes, over and over, and then err.
type chunked struct {
	text  string
	sizes []int
	turn  int
	err   error
	// last gives err together with the last piece.
	last bool
}

func (c *chunked) Read(p []byte) (int, error) {
	if c.text == "" {
		return 0, c.err
	}
	n := min(c.sizes[c.turn%len(c.sizes)], len(p), len(c.text))
	c.turn++
	copy(p, c.text[:n])
	c.text = c.text[n:]
	if c.last && c.text == "" {
		return n, c.err
	}
	return n, nil
}

// event is a copy of an Event that compares.
type event struct {
	raw, name, data string
	partial         bool
}

func (e event) String() string {
	return fmt.Sprintf("{raw %q name %q data %q partial %v}", e.raw, e.name, e.data, e.partial)
}

// readAll reads a stream to its end. Between the events it asks for buffered
// ones, which must not disturb anything, and holds the answer against Next.
func readAll(t testing.TB, src io.Reader, ndjson bool) ([]event, error) {
	t.Helper()
	counting := &countingReader{src: src}
	r := NewReader(counting, ndjson)
	var events []event
	var together []byte // what came without a read between
	for {
		buffered, reads := r.Buffered(), counting.reads
		ev, err := r.Next()
		if buffered && (err != nil || counting.reads != reads) {
			t.Fatalf("Next read from the source or failed (%v) although an event was buffered", err)
		}
		if !buffered {
			together = together[:0]
		}
		if err != nil {
			if _, again := r.Next(); again != err {
				t.Fatalf("error is not final: got %v after %v", again, err)
			}
			return events, err
		}
		r.Buffered()
		together = append(together, ev.Raw...)
		if last := r.Last(len(together)); !bytes.Equal(last, together) {
			t.Fatalf("got %q as the last events, want %q", last, together)
		}
		events = append(events, event{string(ev.Raw), string(ev.Name), string(ev.Data), ev.Partial})
		if len(events) > 1<<20 {
			t.Fatal("endless stream of events")
		}
	}
}

type countingReader struct {
	src   io.Reader
	reads int
}

func (c *countingReader) Read(p []byte) (int, error) {
	c.reads++
	return c.src.Read(p)
}

func compareEvents(t testing.TB, got, want []event) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("event %d: got none, want %v", i, want[i])
		case i >= len(want):
			t.Fatalf("event %d: got %v, want none", i, got[i])
		case got[i] != want[i]:
			t.Fatalf("event %d:\n got %v\nwant %v", i, got[i], want[i])
		}
	}
}

var readerCases = []struct {
	name, in string
	ndjson   bool
	want     []event
}{
	{name: "empty stream"},
	{
		name: "line feeds", in: "data: a\n\ndata: b\n\n",
		want: []event{{raw: "data: a\n\n", data: "a"}, {raw: "data: b\n\n", data: "b"}},
	},
	{
		name: "carriage returns and line feeds", in: "event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n",
		want: []event{
			{raw: "event: x\r\ndata: a\r\n\r\n", name: "x", data: "a"},
			{raw: "data: b\r\n\r\n", data: "b"},
		},
	},
	{
		name: "bare carriage returns", in: "data: a\r\rdata: b\r\r",
		want: []event{{raw: "data: a\r\r", data: "a"}, {raw: "data: b\r\r", data: "b"}},
	},
	{
		name: "mixed line ends", in: "data: a\rdata: b\r\ndata: c\n\r\ndata: d\n\n",
		want: []event{
			{raw: "data: a\rdata: b\r\ndata: c\n\r\n", data: "a\nb\nc"},
			{raw: "data: d\n\n", data: "d"},
		},
	},
	{
		name: "line feed after an event that bare carriage returns ended", in: "data: a\r\r\ndata: b\n\n",
		want: []event{{raw: "data: a\r\r", data: "a"}, {raw: "\n"}, {raw: "data: b\n\n", data: "b"}},
	},
	{
		name: "byte order mark", in: "\xef\xbb\xbfdata: a\n\ndata: b\n\n",
		want: []event{{raw: "\xef\xbb\xbfdata: a\n\n", data: "a"}, {raw: "data: b\n\n", data: "b"}},
	},
	{
		name: "byte order mark before several data lines", in: "\xef\xbb\xbfdata: a\ndata: b\n\n",
		want: []event{{raw: "\xef\xbb\xbfdata: a\ndata: b\n\n", data: "a\nb"}},
	},
	{
		name: "byte order mark later is part of a name", in: "data: a\n\n\xef\xbb\xbfdata: b\n\n",
		want: []event{{raw: "data: a\n\n", data: "a"}, {raw: "\xef\xbb\xbfdata: b\n\n"}},
	},
	{
		name: "byte order mark alone on its line", in: "\xef\xbb\xbf\ndata: a\n\n",
		want: []event{{raw: "\xef\xbb\xbf\n"}, {raw: "data: a\n\n", data: "a"}},
	},
	{
		name: "comments", in: ": ping\n\n:\n\n: x\ndata: a\n: y\n\n",
		want: []event{{raw: ": ping\n\n"}, {raw: ":\n\n"}, {raw: ": x\ndata: a\n: y\n\n", data: "a"}},
	},
	{
		name: "no space after the colon, and two", in: "data:a\n\ndata:  b\n\n",
		want: []event{{raw: "data:a\n\n", data: "a"}, {raw: "data:  b\n\n", data: " b"}},
	},
	{
		name: "several data lines, some empty", in: "data: a\ndata\ndata:\ndata: b\n\n",
		want: []event{{raw: "data: a\ndata\ndata:\ndata: b\n\n", data: "a\n\n\nb"}},
	},
	{
		name: "other fields", in: "id: 7\nretry: 9\ndataset: x\n data: y\ndata: a\n\n",
		want: []event{{raw: "id: 7\nretry: 9\ndataset: x\n data: y\ndata: a\n\n", data: "a"}},
	},
	{
		name: "the last event field counts", in: "event: a\nevent: b\ndata: c\n\n",
		want: []event{{raw: "event: a\nevent: b\ndata: c\n\n", name: "b", data: "c"}},
	},
	{
		name: "the name does not outlive its event", in: "event: a\ndata: b\n\ndata: c\n\n",
		want: []event{{raw: "event: a\ndata: b\n\n", name: "a", data: "b"}, {raw: "data: c\n\n", data: "c"}},
	},
	{
		name: "further blank lines are heartbeats", in: "\n\r\ndata: a\n\n\n",
		want: []event{{raw: "\n"}, {raw: "\r\n"}, {raw: "data: a\n\n", data: "a"}, {raw: "\n"}},
	},
	{
		name: "end without a blank line", in: "data: a\n\nevent: e\ndata: [DONE]\n",
		want: []event{
			{raw: "data: a\n\n", data: "a"},
			{raw: "event: e\ndata: [DONE]\n\n", name: "e", data: "[DONE]", partial: true},
		},
	},
	{
		name: "end without a line end", in: "data: a\ndata: b",
		want: []event{{raw: "data: a\ndata: b\n\n", data: "a\nb", partial: true}},
	},
	{
		name: "end after a bare carriage return", in: "data: a\r",
		want: []event{{raw: "data: a\r\n\n", data: "a", partial: true}},
	},
	{
		name: "end inside the last line end", in: "data: a\r\n\r",
		want: []event{{raw: "data: a\r\n\r", data: "a"}},
	},
	{
		name: "a rest without data is dropped", in: "data: a\n\n: ping\nevent: x\ndat",
		want: []event{{raw: "data: a\n\n", data: "a"}},
	},
	{
		name: "lines of JSON", ndjson: true, in: "{\"a\":1}\n{\"b\":2}\r\n\n{\"c\":\r3}\n",
		want: []event{
			{raw: "{\"a\":1}\n", data: `{"a":1}`},
			{raw: "{\"b\":2}\r\n", data: `{"b":2}`},
			{raw: "\n"},
			{raw: "{\"c\":\r3}\n", data: "{\"c\":\r3}"},
		},
	},
	{
		name: "last line of JSON without its end", ndjson: true, in: "\xef\xbb\xbf{}\n{\"a\":1}",
		want: []event{
			{raw: "\xef\xbb\xbf{}\n", data: "{}"},
			{raw: "{\"a\":1}\n", data: `{"a":1}`, partial: true},
		},
	},
}

func TestReader(t *testing.T) {
	for _, tc := range readerCases {
		t.Run(tc.name, func(t *testing.T) {
			for _, sizes := range [][]int{{1 << 20}, {1}, {2}, {3}, {1, 5}, {7, 2}} {
				for _, last := range []bool{false, true} {
					src := &chunked{text: tc.in, sizes: sizes, err: io.EOF, last: last}
					got, err := readAll(t, src, tc.ndjson)
					if err != io.EOF {
						t.Errorf("chunks %v: got error %v, want EOF", sizes, err)
					}
					compareEvents(t, got, tc.want)
				}
			}
		})
	}
}

// Every cut of a stream in two is tried: a line end, a mark or a name can be
// cut anywhere.
func TestReaderCutAnywhere(t *testing.T) {
	for _, tc := range readerCases {
		for i := 1; i < len(tc.in); i++ {
			got, _ := readAll(t, &chunked{text: tc.in, sizes: []int{i, len(tc.in)}, err: io.EOF}, tc.ndjson)
			compareEvents(t, got, tc.want)
		}
	}
}

func TestReaderDoesNotAwaitMore(t *testing.T) {
	for name, in := range map[string]string{
		"line feeds":       "data: a\n\n",
		"both":             "data: a\r\n\r\n",
		"carriage returns": "data: a\r\r",
		"comment":          ":\n\n",
		"heartbeat":        "\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(&chunked{text: in, sizes: []int{3}, err: errors.New("read too far")}, false)
			ev, err := r.Next()
			if err != nil || string(ev.Raw) != in {
				t.Errorf("got %q, %v, want %q", ev.Raw, err, in)
			}
		})
	}
}

func TestReaderSourceError(t *testing.T) {
	broken := errors.New("connection reset")
	for _, last := range []bool{false, true} {
		src := &chunked{text: "data: a\n\ndata: b\n\ndata: c\n", sizes: []int{100}, err: broken, last: last}
		got, err := readAll(t, src, false)
		compareEvents(t, got, []event{{raw: "data: a\n\n", data: "a"}, {raw: "data: b\n\n", data: "b"}})
		if err != broken {
			t.Errorf("got error %v, want the source's", err)
		}
	}
}

func TestReaderSourceWithoutProgress(t *testing.T) {
	got, err := readAll(t, &chunked{text: "data: a\n\n", sizes: []int{0}}, false)
	if len(got) != 0 || err != io.ErrNoProgress {
		t.Errorf("got %v, %v, want ErrNoProgress", got, err)
	}
}

func TestReaderSizeBound(t *testing.T) {
	for _, tc := range []struct {
		name string
		size int
		end  string
		want error
	}{
		{"largest event", MaxEvent, "\n\n", io.EOF},
		{"one byte more", MaxEvent + 1, "\n\n", ErrTooLarge},
		{"largest event with longer line ends", MaxEvent, "\r\n\r\n", io.EOF},
		{"one byte more with longer line ends", MaxEvent + 1, "\r\n\r\n", ErrTooLarge},
		{"far too large", MaxEvent + 1<<20, "\n\n", ErrTooLarge},
		{"never ending", MaxEvent + 1<<20, "", ErrTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := "data: " + strings.Repeat("x", tc.size-len("data: ")-len(tc.end)) + tc.end
			for _, size := range []int{4 << 20, 4000} {
				src := &chunked{text: "data: a\n\n" + body, sizes: []int{size}, err: io.EOF}
				got, err := readAll(t, src, false)
				if err != tc.want {
					t.Errorf("chunks of %d: got error %v, want %v", size, err, tc.want)
				}
				want := 1
				if tc.want == io.EOF {
					want = 2
				}
				if len(got) != want {
					t.Errorf("chunks of %d: got %d events, want %d", size, len(got), want)
				} else if want == 2 && got[1].raw != body {
					t.Errorf("chunks of %d: the large event is not what was sent", size)
				}
			}
		})
	}
}

func TestReaderSourceErrorAfterTooMuch(t *testing.T) {
	for _, last := range []bool{false, true} {
		src := &chunked{text: strings.Repeat("x", MaxEvent+1), sizes: []int{4096}, err: errors.New("reset"), last: last}
		if _, err := readAll(t, src, false); err != ErrTooLarge {
			t.Errorf("got error %v, want ErrTooLarge", err)
		}
	}
}

// What Next returned, Rest and what the source still has are the stream.
func TestReaderRest(t *testing.T) {
	large := "data: " + strings.Repeat("x", MaxEvent) + "\n\n"
	for _, ndjson := range []bool{false, true} {
		text := "data: a\n\n" + large + "data: b\n\ndata: "
		if ndjson {
			text = "{}\n" + large + "{}"
		}
		src := strings.NewReader(text)
		r := NewReader(src, ndjson)
		ev, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		got := string(ev.Raw)
		if _, err := r.Next(); err != ErrTooLarge {
			t.Fatalf("got %v, want ErrTooLarge", err)
		}
		if _, err := r.Next(); err != ErrTooLarge {
			t.Errorf("got %v when asked again, want ErrTooLarge", err)
		}
		got += string(r.Rest())
		rest, err := io.ReadAll(src)
		if err != nil {
			t.Fatal(err)
		}
		if got += string(rest); got != text {
			t.Errorf("NDJSON %v: got %d bytes, want the %d of the stream", ndjson, len(got), len(text))
		}
		r.Reset(src, false)
		if n := len(r.Rest()); n != 0 {
			t.Errorf("got a rest of %d bytes after Reset, want none", n)
		}
	}
}

// A large event costs what it needs while it comes, and nothing in the silence
// after it.
func TestReaderBufferFollowsTheEvents(t *testing.T) {
	large := "data: {}\ndata: " + strings.Repeat("x", 2*keptBuffer) + "\n\n"
	src := iotest.OneByteReader(strings.NewReader(large + "data: a\n\n" + large))
	r := NewReader(src, false)
	for n, want := range []string{large, "data: a\n\n", large} {
		ev, err := r.Next()
		if err != nil || string(ev.Raw) != want {
			t.Fatalf("event %d: got %d bytes, %v; want %d", n, len(ev.Raw), err, len(want))
		}
		if got := cap(r.buf); got > 2*len(want)+startBuffer {
			t.Errorf("event %d: got a buffer of %d for %d bytes", n, got, len(want))
		}
		if got := cap(r.joined); len(want) < keptBuffer && got > keptBuffer {
			t.Errorf("event %d: got %d bytes of joined data kept", n, got)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Fatal(err)
	}
	if cap(r.buf) > keptBuffer || cap(r.joined) > keptBuffer {
		t.Errorf("got %d and %d bytes that wait for the end, want at most %d", cap(r.buf), cap(r.joined), keptBuffer)
	}
}

// The buffer grows geometrically: the bytes that are copied and allocated for an
// event are a small multiple of it.
func TestReaderGrowsGeometrically(t *testing.T) {
	const size = 16 << 20
	text := "data: " + strings.Repeat("x", size) + "\n\n"
	r := NewReader(&chunked{text: text, sizes: []int{32 << 10}, err: io.EOF}, false)
	grown, last := 0, cap(r.buf)
	w := &grows{src: r.src, on: func() {
		if cap(r.buf) != last {
			grown += cap(r.buf)
			last = cap(r.buf)
		}
	}}
	r.src = w
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if grown > 5*size {
		t.Errorf("got %d bytes of buffers for an event of %d", grown, size)
	}
	if grown < size {
		t.Errorf("got %d bytes of buffers, want at least the event", grown)
	}
}

// grows calls on before every read.
type grows struct {
	src io.Reader
	on  func()
}

func (g *grows) Read(p []byte) (int, error) {
	g.on()
	return g.src.Read(p)
}

func TestReaderReset(t *testing.T) {
	r := NewReader(strings.NewReader("data: "+strings.Repeat("x", 100_000)), false)
	if ev, err := r.Next(); err != nil || !ev.Partial {
		t.Fatalf("got %v, want a partial event", err)
	}
	if cap(r.buf) <= startBuffer {
		t.Fatalf("got a buffer of %d, want a grown one", cap(r.buf))
	}
	r.Reset(strings.NewReader("\xef\xbb\xbf{}\n"), true)
	if cap(r.buf) > startBuffer {
		t.Errorf("got a kept buffer of %d, want at most %d", cap(r.buf), startBuffer)
	}
	ev, err := r.Next()
	if err != nil || string(ev.Data) != "{}" {
		t.Errorf("got %q, %v, want {}", ev.Data, err)
	}
	kept := cap(r.buf)
	r.Reset(strings.NewReader(""), false)
	if cap(r.buf) != kept {
		t.Errorf("got a buffer of %d after a small stream, want %d kept", cap(r.buf), kept)
	}
}

func TestReaderSlicesDoNotReachFurther(t *testing.T) {
	r := NewReader(strings.NewReader("event: x\ndata: a\n\ndata: b\n\n"), false)
	ev, _ := r.Next()
	_ = append(ev.Raw, "damage"...)
	_ = append(ev.Name, "damage"...)
	_ = append(ev.Data, "damage"...)
	if ev, _ := r.Next(); string(ev.Raw) != "data: b\n\n" {
		t.Errorf("got %q after appending to the event before, want it untouched", ev.Raw)
	}
}

// watched gives text byte by byte and looks, before each, how far the Reader has
// come in what it got.
type watched struct {
	text string
	r    *Reader
	t    *testing.T
}

func (w *watched) Read(p []byte) (int, error) {
	// A CR at the end may be looked at again, with what follows it.
	if left := len(w.r.buf) - w.r.pos; left > 1 {
		w.t.Fatalf("got %d bytes that will be looked at again, want at most 1", left)
	}
	if w.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:1], w.text)
	w.text = w.text[n:]
	return n, nil
}

func TestReaderDoesNotStartOver(t *testing.T) {
	w := &watched{text: strings.Repeat("data: abc\r\nx\rdata: "+strings.Repeat("y", 9000)+"\n\n", 3), t: t}
	w.r = NewReader(w, false)
	for range 3 {
		if _, err := w.r.Next(); err != nil {
			t.Fatal(err)
		}
	}
}

// A reader that looks for LF through all that CR ends, line after line, needs
// hundreds of times as long for lines that end in CR. The bound is wide, so that
// a busy machine does not break it.
func TestReaderOfManyLines(t *testing.T) {
	measure := func(unit string) time.Duration {
		text := strings.Repeat(unit, 1<<20/len(unit)) + "\n\n"
		begin := time.Now()
		ev, err := NewReader(strings.NewReader(text), false).Next()
		if err != nil || string(ev.Raw) != text[:len(ev.Raw)] {
			t.Errorf("lines of %q: got %d bytes, %v", unit, len(ev.Raw), err)
		}
		return time.Since(begin)
	}
	base := measure("a\n")
	for _, unit := range []string{"a\r", "a\r\n", "data\r", "ab"} {
		if got, limit := measure(unit), 20*base+500*time.Millisecond; got > limit {
			t.Errorf("lines of %q: got %v, want at most %v", unit, got, limit)
		}
	}
}

func TestReaderAllocatesNothing(t *testing.T) {
	stream := strings.Repeat("event: x\ndata: {\"a\":1}\ndata: {}\n\n: ping\r\n\r\n", 1000)
	src := strings.NewReader(stream)
	r := NewReader(src, false)
	read := func() {
		src.Reset(stream)
		r.Reset(src, false)
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
	if got := testing.AllocsPerRun(10, read); got != 0 {
		t.Errorf("got %v allocations for 2000 events, want 0", got)
	}
}

// reference reads a stream at once, by the words of the specification.
func reference(text string) (datas []string) {
	text = strings.TrimPrefix(text, string(bom))
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	lines := strings.Split(text, "\n")
	var data []string
	for _, line := range lines[:len(lines)-1] { // the last has no end
		if line == "" {
			if data != nil {
				datas = append(datas, strings.Join(data, "\n"))
			}
			data = nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		if name == "data" {
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	return datas
}

func FuzzReader(f *testing.F) {
	for _, tc := range readerCases {
		f.Add([]byte(tc.in), []byte{1, 3}, tc.ndjson)
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte, ndjson bool) {
		sizes := []int{1}
		for _, c := range cuts {
			sizes = append(sizes, int(c)+1)
		}
		text := string(in)
		want, err := readAll(t, strings.NewReader(text), ndjson)
		if err != io.EOF {
			t.Skip()
		}
		got, err := readAll(t, &chunked{text: text, sizes: sizes, err: io.EOF}, ndjson)
		if err != io.EOF {
			t.Fatalf("got error %v, want EOF", err)
		}
		compareEvents(t, got, want)

		var raw bytes.Buffer
		var datas []string
		for i, ev := range got {
			raw.WriteString(ev.raw)
			if !ev.partial && hasData(ev.raw, i == 0) {
				datas = append(datas, ev.data)
			}
		}
		if n := len(got); n == 0 || !got[n-1].partial {
			if !strings.HasPrefix(text, raw.String()) {
				t.Fatalf("got the bytes %q, want those of the stream %q", raw.String(), text)
			}
		} else if !strings.HasPrefix(raw.String(), text) {
			t.Fatalf("got the bytes %q, want the completed stream %q", raw.String(), text)
		}
		if ndjson {
			return
		}
		if want := reference(text); strings.Join(datas, "|") != strings.Join(want, "|") {
			t.Fatalf("got data %q, want %q", datas, want)
		}
	})
}

// hasData reports whether an event has a data field, be it an empty one.
func hasData(raw string, first bool) bool {
	if first {
		raw = strings.TrimPrefix(raw, string(bom))
	}
	for _, line := range strings.FieldsFunc(raw, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if name, _, _ := strings.Cut(line, ":"); name == "data" {
			return true
		}
	}
	return false
}
