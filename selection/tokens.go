package selection

// Billed notes the tokens that an attempt has cost.
func (s *State) Billed(input, output int64) {
	s.input.Add(input)
	s.output.Add(output)
}

// InputTokens are those of all prompts, as far as that is known, cached ones
// included.
func (s *State) InputTokens() int64 { return s.input.Load() }

// OutputTokens are those of all answers, as far as that is known, reasoning ones
// included.
func (s *State) OutputTokens() int64 { return s.output.Load() }
