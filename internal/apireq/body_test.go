package apireq

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
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
		heap() // empties the pools
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
	for _, tt := range []struct{ n, class, size int }{
		{0, 0, 4 << 10},
		{1, 0, 4 << 10},
		{4 << 10, 0, 4 << 10},
		{4<<10 + 1, 1, 8 << 10},
		{256 << 10, 6, 256 << 10},
		{256<<10 + 1, 7, 272 << 10},
		{1 << 20, 38, 1 << 20},
		{1<<20 + 1, 39, 1<<20 + 64<<10},
		{maxPooled, numClasses - 1, maxPooled},
	} {
		if class, size := class(tt.n); class != tt.class || size != tt.size {
			t.Errorf("%d bytes: got class %d of %d bytes, want class %d of %d", tt.n, class, size, tt.class, tt.size)
		}
		if b := getBuffer(tt.n); len(b.data) < tt.size || len(b.data) > tt.size+tt.size/4 {
			t.Errorf("%d bytes: got a buffer of %d, want %d or a little more", tt.n, len(b.data), tt.size)
		}
	}
	if b := getBuffer(maxPooled + 1); len(b.data) != maxPooled+1 {
		t.Errorf("got %d bytes beyond the largest class, want exactly %d", len(b.data), maxPooled+1)
	}
}

// A class is found again by its size, and the next one begins where it ends.
func TestSizeClassesFollowEachOther(t *testing.T) {
	next, smallest := 0, 1
	for smallest <= maxPooled {
		c, size := class(smallest)
		last, lastSize := class(size)
		if c != next || last != c || lastSize != size {
			t.Fatalf("%d bytes: got class %d, and %d for the last of its %d bytes, want %d", smallest, c, last, size, next)
		}
		if spare := size - smallest; smallest > 256<<10 && spare > smallest/16 {
			t.Errorf("%d bytes: got %d too many, want no more than a sixteenth", smallest, spare)
		}
		next, smallest = next+1, size+1
	}
	if next != numClasses {
		t.Errorf("got %d classes, want %d", next, numClasses)
	}
}

// What a body holds while its request is answered, whatever was read into on the
// way.
func TestReadBodyHoldsLittleMoreThanTheBody(t *testing.T) {
	for _, size := range []int{1 << 20, 1<<20 + 1, 1_200_000} {
		for _, length := range []int64{int64(size), -1} {
			got := heapPerBody(t, size, length)
			if most := size + size/10; got > most {
				t.Errorf("%d bytes, length %d: got %d bytes of heap, want at most %d", size, length, got, most)
			}
		}
	}
}

// heapPerBody is how much the heap grows by each of many bodies of size bytes.
func heapPerBody(tb testing.TB, size int, length int64) int {
	tb.Helper()
	const bodies = 16
	data := pattern(size)
	before := heap()
	held := make([]*Body, bodies)
	for i := range held {
		var err error
		if held[i], err = ReadBody(&socket{bytes.NewReader(data)}, length, 64<<20); err != nil {
			tb.Fatal(err)
		}
	}
	after := heap()
	for _, b := range held {
		b.Release()
	}
	runtime.KeepAlive(data)
	return (after - before) / bodies
}

// heap is the size of the heap without what is only pooled, in bytes.
func heap() int {
	runtime.GC()
	runtime.GC() // empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
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
	}{{"1K", 1 << 10, 1 << 10}, {"32K", 32 << 10, 32 << 10}, {"512K", 512 << 10, 512 << 10}, {"4M", 4 << 20, 4 << 20}, {"512K/chunked", 512 << 10, -1}, {"1200K/chunked", 1200 << 10, -1}} {
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
			b.ReportMetric(float64(heapPerBody(b, bench.size, bench.length))/float64(bench.size), "heap/body")
		})
	}
}

// Bodies of many sizes, some of them in use: how often memory is found ready.
func BenchmarkReadBodyOfAnySize(b *testing.B) {
	for _, bench := range []struct {
		name     string
		min, max int
	}{{"to=256K", 1 << 10, 256 << 10}, {"to=2M", 256 << 10, 2 << 20}} {
		b.Run(bench.name, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			data := pattern(bench.max)
			var inUse [32]*Body
			for i := range inUse {
				inUse[i] = BodyOf(nil)
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				n := bench.min + random.IntN(bench.max-bench.min)
				body, err := ReadBody(&socket{bytes.NewReader(data[:n])}, int64(n), 64<<20)
				if err != nil {
					b.Fatal(err)
				}
				inUse[i].Release()
				inUse[i] = body
				i = (i + 1) % len(inUse)
			}
		})
	}
}

// Whoever alone has a Body may fill it again as soon as it is gone, wherever its last
// Reader was closed.
func TestAGoneBodyMayBeFilled(t *testing.T) {
	var closed sync.WaitGroup
	defer closed.Wait()
	b := new(Body)
	data := [2][]byte{bytes.Repeat([]byte("a"), 5000), bytes.Repeat([]byte("b"), 5000)}
	for i := range 5000 {
		want := data[i%2]
		if err := b.Fill(bytes.NewReader(want), int64(len(want)), 1<<20); err != nil {
			t.Fatal(err)
		}
		if b.buf == nil || !bytes.Equal(b.Bytes(), want) {
			t.Fatal("got another body")
		}
		r := b.NewReader(Edits{})
		closed.Go(func() { r.Close() })
		b.Release()
		for !b.Gone() {
			runtime.Gosched()
		}
	}
}
