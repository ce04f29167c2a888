package apireq

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// pattern is n bytes of which no two neighbouring stretches are the same.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func TestReadBody(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"at once":            func(r io.Reader) io.Reader { return r },
		"in halves":          iotest.HalfReader,
		"with the error":     iotest.DataErrReader,
		"in 16 KiB a time":   func(r io.Reader) io.Reader { return &socket{r} },
		"hiding its methods": func(r io.Reader) io.Reader { return struct{ io.Reader }{r} },
	}
	for _, size := range []int{0, 1, 4095, 4096, 4097, 5000, maxAhead - 1, maxAhead, maxAhead + 1, 3 << 20} {
		want := pattern(size)
		for name, wrap := range readers {
			for _, length := range []int64{int64(size), -1} {
				for _, limit := range []int64{int64(size), int64(size) + 1, 1 << 62} {
					b, err := ReadBody(wrap(bytes.NewReader(want)), length, limit)
					if err != nil || !bytes.Equal(b.Bytes(), want) {
						t.Fatalf("%d bytes %s, length %d, max %d: got an error or another body: %v", size, name, length, limit, err)
					}
					b.Release()
				}
			}
		}
	}
}

// socket gives at most 16 KiB at a time, as a connection does.
type socket struct{ r io.Reader }

func (s *socket) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), 16<<10)]) }

func TestReadBodyOneByteAtATime(t *testing.T) {
	want := pattern(20_000)
	for _, length := range []int64{20_000, -1} {
		b, err := ReadBody(iotest.OneByteReader(bytes.NewReader(want)), length, 20_000)
		if err != nil || !bytes.Equal(b.Bytes(), want) {
			t.Errorf("length %d: got an error or another body: %v", length, err)
		}
	}
}

func TestReadBodyFails(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name        string
		r           io.Reader
		length, max int64
		want        error
	}{
		{"announced too large", iotest.ErrReader(errors.New("was read")), 11, 10, ErrTooLarge},
		{"chunked and too large", strings.NewReader("0123456789a"), -1, 10, ErrTooLarge},
		{"chunked and too large by far", strings.NewReader(strings.Repeat("x", 1<<20)), -1, 10, ErrTooLarge},
		{"chunked with none allowed", strings.NewReader("0"), -1, 0, ErrTooLarge},
		{"short", strings.NewReader("012345678"), 10, 10, io.ErrUnexpectedEOF},
		{"nothing at all", strings.NewReader(""), 10, 10, io.ErrUnexpectedEOF},
		{"no reader", nil, 10, 10, io.ErrUnexpectedEOF},
		{"short of much", strings.NewReader(strings.Repeat("x", 3<<20)), 64 << 20, 64 << 20, io.ErrUnexpectedEOF},
		{"broken", iotest.TimeoutReader(&socket{strings.NewReader(strings.Repeat("x", 1<<20))}), 1 << 20, 1 << 20, iotest.ErrTimeout},
		{"broken at once", iotest.ErrReader(boom), 10, 10, boom},
		{"chunked and broken", iotest.ErrReader(boom), -1, 10, boom},
		{"silent", idleReader{}, 10, 10, io.ErrNoProgress},
		{"chunked and silent", idleReader{}, -1, 10, io.ErrNoProgress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := ReadBody(tt.r, tt.length, tt.max)
			if !errors.Is(err, tt.want) || b != nil {
				t.Errorf("got %v, %v, want no body and %v", b, err, tt.want)
			}
		})
	}
}

type idleReader struct{}

func (idleReader) Read([]byte) (int, error) { return 0, nil }

// An error that comes with the last byte of a known length does not matter.
func TestReadBodyIgnoresWhatFollowsItsLength(t *testing.T) {
	b, err := ReadBody(strings.NewReader("0123456789"), 4, 10)
	if err != nil || string(b.Bytes()) != "0123" {
		t.Errorf("got %v, want 0123", err)
	}
}

func TestReadBodyOfNothing(t *testing.T) {
	for _, length := range []int64{0, -1} {
		b, err := ReadBody(nil, length, 10)
		if err != nil || len(b.Bytes()) != 0 {
			t.Fatalf("length %d: got %v, want an empty body", length, err)
		}
		if got, err := io.ReadAll(b.NewReader(Edits{})); err != nil || len(got) != 0 {
			t.Errorf("length %d: got %q, %v, want nothing", length, got, err)
		}
		b.Release()
	}
}

// An announced length is not believed before the bytes are there.
func TestReadBodySetsLittleAside(t *testing.T) {
	for _, tt := range []struct{ sent, most int }{
		{0, 1 << 20}, {1 << 20, 3 << 20}, {3 << 20, 7 << 20},
	} {
		body := pattern(tt.sent)
		runtime.GC()
		runtime.GC() // empties the pools
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ReadBody(bytes.NewReader(body), 64<<20, 64<<20)
		runtime.ReadMemStats(&after)
		if got := int(after.TotalAlloc - before.TotalAlloc); err != io.ErrUnexpectedEOF || got > tt.most+64<<10 {
			t.Errorf("%d bytes of 64 MiB: got %d bytes of memory, %v, want at most %d", tt.sent, got, err, tt.most)
		}
	}
}

func TestSizeClass(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 0, 4096: 0, 4097: 1, 8192: 1, 8193: 2, 1 << 20: 8, 1<<20 + 1: 9, maxPooled: maxClassBits - minClassBits} {
		if got := class(n); got != want {
			t.Errorf("%d bytes: got class %d, want %d", n, got, want)
		}
		if b := getBuffer(n); len(b.data) != 1<<(want+minClassBits) {
			t.Errorf("%d bytes: got %d, want %d", n, len(b.data), 1<<(want+minClassBits))
		}
	}
	if b := getBuffer(maxPooled + 1); len(b.data) != maxPooled+1 {
		t.Errorf("got %d bytes beyond the largest class, want exactly %d", len(b.data), maxPooled+1)
	}
}

// Buffers are used again, and one that is handed out is nobody else's.
func TestBuffersAreNotShared(t *testing.T) {
	held := map[*byte]bool{}
	var bodies []*Body
	for round := range 3 {
		for range 8 {
			b := bodyOf(t, "0123456789")
			first := &b.Bytes()[0]
			if held[first] {
				t.Fatalf("round %d: got a buffer that is in use", round)
			}
			held[first] = true
			bodies = append(bodies, b)
		}
		for _, b := range bodies[len(bodies)/2:] {
			delete(held, &b.Bytes()[0])
			b.Release()
		}
		bodies = bodies[:len(bodies)/2]
	}
}

// What a caller appends to the body must not reach pooled memory behind it.
func TestBytesHasNoRoomBehind(t *testing.T) {
	for _, length := range []int64{10, -1} {
		b, err := ReadBody(strings.NewReader("0123456789"), length, 10)
		if err != nil || cap(b.Bytes()) != 10 {
			t.Errorf("length %d: got capacity %d, %v, want 10", length, cap(b.Bytes()), err)
		}
	}
}

func BenchmarkReadBody(b *testing.B) {
	for _, bench := range []struct {
		name   string
		size   int
		length int64
	}{{"1K", 1 << 10, 1 << 10}, {"32K", 32 << 10, 32 << 10}, {"512K", 512 << 10, 512 << 10}, {"4M", 4 << 20, 4 << 20}, {"512K/chunked", 512 << 10, -1}} {
		b.Run(bench.name, func(b *testing.B) {
			data := pattern(bench.size)
			src := bytes.NewReader(data)
			r := &socket{src}
			b.ReportAllocs()
			b.SetBytes(int64(bench.size))
			for b.Loop() {
				src.Reset(data)
				body, err := ReadBody(r, bench.length, 64<<20)
				if err != nil {
					b.Fatal(err)
				}
				body.Release()
			}
		})
	}
}
