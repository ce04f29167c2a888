package selection

import "math"

// Tokenizer makes tokens of text, as a model does. It is safe for concurrent use,
// and two that are equal make the same tokens.
type Tokenizer interface {
	// Count tells how many tokens a short piece of text has; false where it cannot.
	Count(text string) (tokens int, ok bool)
}

// PromptCounter counts the tokens of a request's prompt. It belongs to one
// goroutine at a time, as its request does.
type PromptCounter interface {
	// Exceeds tells whether the prompt is known to have more tokens than limit. It
	// counts no further than it has to for that, and nothing twice.
	Exceeds(t Tokenizer, limit int) bool
}

// Size is what a request takes of a context window. The zero Size is not known,
// and fits everywhere.
type Size struct {
	// Bytes is the most that the prompt can be: no tokenizer makes more tokens of a
	// text than it has bytes.
	Bytes int
	// Output is the longest answer that the request allows, in tokens; 0 is any, of
	// which nothing is known.
	Output int
	// Counter tells more exactly where that matters; nil is nobody.
	Counter PromptCounter
}

// Fits tells whether nothing is known that makes the request too long for c: of the
// two it is the better mistake to let one through, which then comes back refused.
// Only prompts that may be too long are counted.
func (s *Size) Fits(c *Candidate) bool {
	if c.Tokenizer == nil {
		return true
	}
	room := c.room(s.Output)
	switch {
	case s.Bytes <= room:
		return true
	case room < 0:
		return false
	}
	return s.Counter == nil || !s.Counter.Exceeds(c.Tokenizer, room)
}

// windowed tells whether anything is known of what c takes at once.
func (c *Candidate) windowed() bool { return c.ContextWindow|c.MaxInput != 0 }

// Window is the longest prompt that c takes at all, in tokens; 0 is unknown.
func (c *Candidate) Window() int {
	switch {
	case c.ContextWindow == 0:
		return c.MaxInput
	case c.MaxInput == 0:
		return c.ContextWindow
	}
	return min(c.ContextWindow, c.MaxInput)
}

// room is the longest prompt that c takes beside an answer of so many tokens, which
// may be less than nothing.
func (c *Candidate) room(output int) int {
	room := math.MaxInt
	if c.MaxInput > 0 {
		room = c.MaxInput
	}
	if c.ContextWindow > 0 {
		room = min(room, c.ContextWindow-output)
	}
	return room
}

// Room is the longest prompt that c takes beside the longest answer that the
// request allows, in tokens; false where that is not known.
func (s *Size) Room(c *Candidate) (tokens int, known bool) {
	room := c.room(s.Output)
	return max(room, 0), room < math.MaxInt
}

// MoreRoom tells whether c takes a longer prompt than other does.
func (s *Size) MoreRoom(c, other *Candidate) bool { return c.room(s.Output) > other.room(s.Output) }

// AskFor makes the query leave out candidates that are known to give shorter
// answers than the request allows, where one of all that may serve it gives such long
// ones. Elsewhere an upstream that does not mind may still serve it. It comes after all
// else of the query that lasts.
func (q *Query) AskFor(all []*Candidate) {
	q.MinOutput = 0
	if q.Size.Output == 0 {
		return
	}
	for _, c := range all {
		if (c.MaxOutput == 0 || c.MaxOutput >= q.Size.Output) && q.Tags.Match(c) && q.May(c) {
			q.MinOutput = q.Size.Output
			return
		}
	}
}
