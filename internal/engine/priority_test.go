package engine

import "testing"

func TestAttemptsKnowThePriorityOfTheirRequest(t *testing.T) {
	for name, tt := range map[string]struct {
		req  Request
		want int
		set  bool
	}{
		"none":     {Request{Model: "m", Priority: 3}, 0, false},
		"zero":     {Request{Model: "m", PrioritySet: true}, 0, true},
		"negative": {Request{Model: "m", Priority: -3, PrioritySet: true}, -3, true},
	} {
		bubble(t, name, func(t *testing.T) {
			x := script(nil)
			x.before = func(a *Attempt) {
				if got, set := a.Priority(); got != tt.want || set != tt.set {
					t.Errorf("got %d, set %v; want %d, %v", got, set, tt.want, tt.set)
				}
			}
			serve(t.Context(), newRouter(t, newPool("m", deployment("a"))), &tt.req, x)
			if len(x.attempts) != 1 {
				t.Errorf("got %d attempts, want one", len(x.attempts))
			}
		})
	}
}
