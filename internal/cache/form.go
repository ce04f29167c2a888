package cache

import (
	"bytes"
	"errors"
	"slices"
)

const (
	// maxBody is the largest request that is looked up, in bytes.
	maxBody = 4 << 20
	// maxDepth is how deep a request may nest. Sorting copies a value once for each
	// object around it.
	maxDepth = 32
)

// errOdd is JSON of which two servers may not make the same: it is not valid, has a
// key twice, text that is not Unicode, or numbers and depths beyond all measure.
var errOdd = errors.New("the request has no canonical form")

// form writes JSON in a canonical form, in one pass: with the members of objects in
// the order of their names, and no matter how white space, numbers and strings are
// written. The form is no JSON. Every value in it says where it ends, so that two
// values have the same form only if they are equal.
//
//	{ members }   members are a text and a value each
//	[ values ]
//	s length text
//	n digits e exponent ;
//	t f z         true, false and null
type form struct {
	data    []byte
	at      int
	out     []byte
	members []member // of the objects that are open
	text    []byte   // a string without its escapes
	sorted  []byte   // an object while it is sorted
	// keep tells which members of the outermost object to write; nil is all. The
	// value is in its canonical form, and what keep returns an error for has none.
	keep func(key, value, raw []byte) (bool, error)
}

// member is a member of an object in form.out: key is where its name's text begins,
// value where its value does.
type member struct{ from, key, value, to int }

// reset begins with other data.
func (f *form) reset(data []byte) {
	f.data, f.at, f.out, f.members, f.keep = data, 0, f.out[:0], f.members[:0], nil
}

// whole writes the data as one value.
func (f *form) whole() error {
	if len(f.data) > maxBody {
		return errOdd
	}
	if err := f.value(0); err != nil {
		return err
	}
	if f.next() != 0 || f.at < len(f.data) {
		return errOdd
	}
	return nil
}

// next skips white space and is the byte that comes then, 0 at the end.
func (f *form) next() byte {
	for ; f.at < len(f.data); f.at++ {
		switch b := f.data[f.at]; b {
		case ' ', '\t', '\n', '\r':
		default:
			return b
		}
	}
	return 0
}

func (f *form) value(depth int) error {
	if depth > maxDepth {
		return errOdd
	}
	switch b := f.next(); b {
	case '{':
		return f.object(depth)
	case '[':
		return f.array(depth)
	case '"':
		_, err := f.string()
		return err
	case 't':
		return f.literal("true", 't')
	case 'f':
		return f.literal("false", 'f')
	case 'n':
		return f.literal("null", 'z')
	}
	return f.number()
}

func (f *form) literal(word string, as byte) error {
	if !bytes.HasPrefix(f.data[f.at:], []byte(word)) {
		return errOdd
	}
	f.at += len(word)
	f.out = append(f.out, as)
	return nil
}

func (f *form) array(depth int) error {
	f.at++
	f.out = append(f.out, '[')
	for more := f.next() != ']'; more; {
		if err := f.value(depth + 1); err != nil {
			return err
		}
		var err error
		if more, err = f.comma(']'); err != nil {
			return err
		}
	}
	f.at++
	f.out = append(f.out, ']')
	return nil
}

// comma goes to the next member or element; false at the bracket that closes.
func (f *form) comma(closing byte) (more bool, err error) {
	switch f.next() {
	case closing:
		return false, nil
	case ',':
		f.at++
		return true, nil
	}
	return false, errOdd
}

func (f *form) object(depth int) error {
	f.at++
	f.out = append(f.out, '{')
	begin, base := len(f.out), len(f.members)
	for more := f.next() != '}'; more; {
		if err := f.member(depth); err != nil {
			return err
		}
		var err error
		if more, err = f.comma('}'); err != nil {
			return err
		}
	}
	f.at++
	if err := f.sort(begin, f.members[base:]); err != nil {
		return err
	}
	f.members = f.members[:base]
	f.out = append(f.out, '}')
	return nil
}

func (f *form) member(depth int) error {
	m := member{from: len(f.out)}
	if f.next() != '"' {
		return errOdd
	}
	n, err := f.string()
	if err != nil {
		return err
	}
	m.value = len(f.out)
	m.key = m.value - n
	if f.next() != ':' {
		return errOdd
	}
	f.at++
	f.next()
	raw := f.at
	if err := f.value(depth + 1); err != nil {
		return err
	}
	m.to = len(f.out)
	f.members = append(f.members, m)
	if depth > 0 || f.keep == nil {
		return nil
	}
	kept, err := f.keep(f.out[m.key:m.value], f.out[m.value:], f.data[raw:f.at])
	if !kept { // its name stays in the list, in case it comes again
		f.out = f.out[:m.value]
		f.members[len(f.members)-1].to = m.value
	}
	return err
}

// sort brings the members of an object that begins at a place of f.out into order.
// Those that are not kept have names and no values, and leave it.
func (f *form) sort(begin int, members []member) error {
	compare := func(a, b member) int { return bytes.Compare(f.out[a.key:a.value], f.out[b.key:b.value]) }
	inOrder, all := slices.IsSortedFunc(members, compare), true
	if !inOrder {
		slices.SortFunc(members, compare)
	}
	for i, m := range members {
		all = all && m.to > m.value
		if i > 0 && compare(members[i-1], m) == 0 {
			return errOdd
		}
	}
	if inOrder && all {
		return nil
	}
	f.sorted = f.sorted[:0]
	for _, m := range members {
		if m.to > m.value {
			f.sorted = append(f.sorted, f.out[m.from:m.to]...)
		}
	}
	f.out = append(f.out[:begin], f.sorted...)
	return nil
}
