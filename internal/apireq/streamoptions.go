package apireq

import "bytes"

var (
	askUsage       = []byte(`{"include_usage":true}`)
	askUsageMember = askUsage[1 : len(askUsage)-1]
	askUsageFirst  = []byte(`"include_usage":true,`)
	yes            = askUsage[len(askUsage)-len(`true}`) : len(askUsage)-1]
)

// AskUsage tells how body has to change for a streamed chat or completion to end
// with an event of its usage: what has to take the place of which span, or, with
// the zero Span, which value a new member stream_options has to have. ok is false
// when nothing is to be changed: the client asks by itself, or has options that are
// for the upstream to refuse. The value must not be changed.
func (f *Facts) AskUsage(body []byte) (at Span, value []byte, ok bool) {
	at = f.StreamOptions
	if at == (Span{}) {
		return at, askUsage, true
	}
	options := body[at.Start:at.End]
	if string(options) == "null" {
		return at, askUsage, true
	}
	m, err := membersOf(options)
	if err != nil {
		return Span{}, nil, false
	}
	var include Span
	for m.next() {
		if keyIs(m.key, "include_usage") {
			include = Span{m.start, m.end}
		}
	}
	switch {
	case m.err != nil:
		return Span{}, nil, false
	case include == Span{} && m.more:
		return Span{at.Start + 1, at.Start + 1}, askUsageFirst, true
	case include == Span{}:
		return Span{at.Start + 1, at.Start + 1}, askUsageMember, true
	}
	switch string(options[include.Start:include.End]) {
	case "false", "null":
		return Span{at.Start + include.Start, at.Start + include.End}, yes, true
	}
	return Span{}, nil, false
}

// keyIs tells whether a key, as it is written, means name.
func keyIs(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key) == name
	}
	if len(key) > 6*len(name) {
		return false
	}
	var scratch [maxEscapedKey]byte
	plain, ok := unescape(scratch[:0], key)
	return ok && string(plain) == name
}
