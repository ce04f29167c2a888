package sse

import "bytes"

// Verdict is what becomes of an event of a replacement stream.
type Verdict uint8

const (
	// Hold swallows the event: the client has it already.
	Hold Verdict = iota
	// Pass gives the client the bytes that came with the verdict.
	Pass
	// Differ says that the stream is not the one that the client has. It is
	// final.
	Differ
)

var verdictNames = [...]string{Hold: "hold", Pass: "pass", Differ: "differ"}

func (v Verdict) String() string {
	if int(v) >= len(verdictNames) {
		return "unknown"
	}
	return verdictNames[v]
}

// Replay checks a replacement stream against what the client has and lets
// through what goes beyond it. Until then nothing of it reaches the client, nor
// do keep-alives: nobody knows yet whether the stream is the client's, and held
// back they would be without number.
//
// Ids and times of the replacement are left as they are: the chunks of a resumed
// chat stream have another id and created from the point where it was resumed,
// which clients do not compare.
//
// A Replay is not safe for concurrent use.
type Replay struct {
	transcript *Transcript
	next       int // segment that is compared next
	matched    int // bytes of the transcript's text that have come again
	caughtUp   bool
	differs    bool
	cuts       []span
	out        []byte
}

// span is a range of an event's data.
type span struct{ from, to int }

// Replay begins a replacement of the stream that t is the transcript of. Events
// that the Replay lets through are added to t, so that a replacement that is
// cut too can be replaced in its turn.
func (t *Transcript) Replay() *Replay {
	return &Replay{transcript: t, differs: !t.Resumable(), caughtUp: len(t.segments) == 0}
}

// CaughtUp reports whether the replacement has come to where the client is.
func (r *Replay) CaughtUp() bool { return r.caughtUp }

// Next decides on the next event of the replacement stream. With Pass, out is
// what the client gets: the event as it is, or without the text that the client
// has, everything else in it byte for byte; an event whose data came in several
// lines is written anew. It is valid until the next call and as long as ev is.
//
// A stream that says something else than the client has, that finishes before
// it has said all of that, or whose text cannot be compared is Differ, as is an
// error. An event that is not JSON is Hold.
func (r *Replay) Next(ev Event) (out []byte, v Verdict) {
	if r.differs {
		return nil, Differ
	}
	f := examine(r.transcript.dialect, ev, r.transcript.room[:])
	switch {
	case f.kind == Invalid:
		return nil, Hold
	case f.kind == Error:
		return r.differ()
	case r.caughtUp:
		r.transcript.observe(f, ev.Data, 0)
		return ev.Raw, Pass
	case f.kind == KeepAlive:
		return nil, Hold
	case f.opaque:
		return r.differ()
	}
	return r.compare(ev, f)
}

func (r *Replay) differ() ([]byte, Verdict) {
	r.differs = true
	return nil, Differ
}

// compare goes through the items of an event up to the end of the transcript.
func (r *Replay) compare(ev Event, f facts) ([]byte, Verdict) {
	r.cuts = r.cuts[:0]
	held, i := false, 0 // held: the client has a mark that is in the event
	for ; i < len(f.items) && !r.exhausted(); i++ {
		it := &f.items[i]
		if !it.part.isText() {
			if !r.transcript.segments[r.next].is(*it) {
				return r.differ()
			}
			r.next++
			held = true
			continue
		}
		used, ok := r.match(*it, ev.Data)
		if !ok {
			return r.differ()
		}
		r.cuts = append(r.cuts, span{it.from, it.from + used})
		if it.from += used; it.from < it.to {
			break // the rest of this item is new
		}
	}
	ends := f.finish || f.done
	if !r.exhausted() {
		if ends {
			return r.differ()
		}
		return nil, Hold
	}
	if i == len(f.items) && !ends {
		r.caughtUp = true
		return nil, Hold
	}
	if held {
		return r.differ() // half of the event cannot be taken out of it
	}
	r.caughtUp = true
	r.transcript.observe(f, ev.Data, i)
	r.out = appendWithout(r.out[:0], ev, r.cuts)
	return r.out, Pass
}

// exhausted reports whether all of the transcript has come again.
func (r *Replay) exhausted() bool { return r.next == len(r.transcript.segments) }

// match compares a text with the transcript and returns how many bytes of the
// item's JSON string the client has.
func (r *Replay) match(it item, data []byte) (used int, ok bool) {
	seg := r.transcript.segments[r.next]
	if !seg.is(it) {
		return 0, false
	}
	raw := data[it.from:it.to]
	used, n, ok := matchText(raw, r.transcript.text[r.matched:seg.end])
	if !ok {
		return 0, false
	}
	r.matched += n
	if r.matched == seg.end {
		r.next++
	}
	// Text that goes on where the client's channel changed is another text.
	return used, used == len(raw) || r.exhausted()
}

// appendWithout appends the event without some ranges of its data.
func appendWithout(dst []byte, ev Event, cuts []span) []byte {
	at := bytes.Index(ev.Raw, ev.Data)
	if at < 0 { // the data came in several lines
		return appendRewritten(dst, ev, cuts)
	}
	from := 0
	for _, cut := range cuts {
		dst = append(dst, ev.Raw[from:at+cut.from]...)
		from = at + cut.to
	}
	return append(dst, ev.Raw[from:]...)
}

// appendRewritten writes the event anew, line by line.
func appendRewritten(dst []byte, ev Event, cuts []span) []byte {
	if ev.Name != nil {
		dst = append(append(append(dst, "event: "...), ev.Name...), '\n')
	}
	dst = append(dst, "data: "...)
	from := 0
	for _, cut := range cuts {
		dst = appendLines(dst, ev.Data[from:cut.from])
		from = cut.to
	}
	dst = appendLines(dst, ev.Data[from:])
	return append(dst, "\n\n"...)
}

// appendLines appends data, each new line of it as a field of its own.
func appendLines(dst, data []byte) []byte {
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			return append(dst, data...)
		}
		dst = append(append(dst, data[:i+1]...), "data: "...)
		data = data[i+1:]
	}
}
