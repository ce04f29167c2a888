package selection

import "testing"

func TestCarriedEndsOnce(t *testing.T) {
	s := new(State)
	a, b := s.Carry(100, 40), s.Carry(10, 10)
	if !a.Answered() || a.Answered() {
		t.Error("got another answer, want the first to be the only one")
	}
	if requests, unread := s.Unanswered(); requests != 1 || unread != 10 || s.InFlightTokens() != 110 {
		t.Errorf("got %d unanswered with %d tokens, %d in all, want 1 with 10, 110 in all", requests, unread, s.InFlightTokens())
	}
	for range 2 {
		a.End()
		b.End()
	}
	if requests, unread := s.Unanswered(); requests != 0 || unread != 0 || s.InFlightTokens() != 0 {
		t.Errorf("got %d unanswered with %d tokens, %d in all, want none", requests, unread, s.InFlightTokens())
	}
	if b.Answered() {
		t.Error("got an answer after the end, want none")
	}
}
