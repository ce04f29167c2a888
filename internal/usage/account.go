package usage

// Account gathers what one answer says of its usage, in one piece or in several:
// the latest value of a field holds, and null says nothing. The zero value is an
// account of an answer that has said nothing. It is not safe for concurrent use.
type Account struct {
	// OpenAI's names in chat and completions, and in its later APIs. Some servers
	// send both, with zeros under the names that they do not mean.
	prompt, completion field
	input, output      field
	total              field
	cached, reasoning  field
	// Anthropic's input leaves out what went into a cache and what came from it.
	cacheWritten, cacheRead field
	// Ollama leaves out a count that is 0.
	evalPrompt, eval field

	odd bool // the latest usage was no object
}

// Usage is the account as it stands. invalid tells that a field holds nonsense:
// a number that is negative, not whole or above MaxTokens, something else than a
// number, or no input at all beside other numbers. The usage is Unknown then, and
// where nothing was said.
func (a *Account) Usage() (u Usage, invalid bool) {
	if a.nonsense() {
		return Usage{}, true
	}
	if *a == (Account{}) {
		return Usage{}, false
	}
	input, output := a.prompt, a.completion
	if input.state == absent && output.state == absent {
		input, output = a.inputWithCache(), a.output
	}
	if input.state == absent && output.state == absent {
		input, output = a.ollama()
	}
	switch {
	case input.state == absent && (a.total.state == absent || a.total.n < output.n):
		return Usage{}, true
	case input.state == absent: // rerank and some embeddings have a total alone
		input.n = a.total.n - output.n
	case output.state == absent:
		output.n = max(a.total.n-input.n, 0)
	case a.total.n == input.n+output.n+a.reasoning.n: // xAI counts it apart
		output.n += a.reasoning.n
	}
	return Usage{
		Input: input.n, Output: output.n,
		Cached:    min(max(a.cached.n, a.cacheRead.n), input.n),
		Reasoning: min(a.reasoning.n, output.n),
		State:     Reported,
	}, false
}

func (a *Account) nonsense() bool {
	for _, f := range [...]field{
		a.prompt, a.completion, a.input, a.output, a.total, a.cached, a.reasoning,
		a.cacheWritten, a.cacheRead, a.evalPrompt, a.eval,
	} {
		if f.state == invalid {
			return true
		}
	}
	return a.odd
}

func (a *Account) inputWithCache() field {
	f := a.input
	if f.state == said {
		f.n += a.cacheWritten.n + a.cacheRead.n
	}
	return f
}

func (a *Account) ollama() (input, output field) {
	input, output = a.evalPrompt, a.eval
	if input.state != absent || output.state != absent {
		input.state, output.state = said, said
	}
	return input, output
}

// field is one number of an account.
type field struct {
	n     int64 // 0 unless said
	state fieldState
}

type fieldState uint8

const (
	absent fieldState = iota
	said
	invalid
)

// set takes note of a JSON value.
func (f *field) set(value []byte) {
	if string(value) == "null" {
		return
	}
	if n, ok := count(value); ok {
		*f = field{n, said}
	} else {
		*f = field{state: invalid}
	}
}

// count reads a JSON number as a count. Servers that count in floating point may
// write a whole number with a fraction of zeros.
func count(value []byte) (n int64, ok bool) {
	i := 0
	for ; i < len(value) && value[i] >= '0' && value[i] <= '9'; i++ {
		if n = 10*n + int64(value[i]-'0'); n > MaxTokens {
			return 0, false
		}
	}
	if i == 0 || i == len(value) {
		return n, i > 0
	}
	if value[i] != '.' || i+1 == len(value) {
		return 0, false
	}
	for _, c := range value[i+1:] {
		if c != '0' {
			return 0, false
		}
	}
	return n, true
}
