package apireq

// Text is what stands between the quotes of a span that is a JSON string, as it is
// written; nil of any other.
func (b *Body) Text(at Span) []byte {
	if at.End-at.Start < 2 || b.data[at.Start] != '"' {
		return nil
	}
	return b.data[at.Start+1 : at.End-1]
}

// MetadataText is the text under a name in the body's metadata, where clients name
// users and sessions; nil without one. It is as it is written.
func (b *Body) MetadataText(f *Facts, name string) (text []byte) {
	if f.Metadata == (Span{}) {
		return nil
	}
	at := f.Metadata.Start
	m, err := membersOf(b.data[at:f.Metadata.End])
	if err != nil {
		return nil
	}
	for m.next() {
		if keyIs(m.key, name) {
			text = b.Text(Span{at + m.start, at + m.end})
		}
	}
	return text
}
