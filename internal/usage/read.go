package usage

import "github.com/llmrouter/caddy-llm-router/internal/jsonwalk"

// Read takes note of one usage object, or of an object that has the members of
// one among others, as a line of Ollama's. What is not there is left as it was.
// Anything but an object is invalid, unless blank. It allocates nothing.
func (a *Account) Read(object []byte) {
	c := jsonwalk.New(object)
	if !c.Open('{') {
		a.odd = !jsonwalk.Blank(c.Value())
		return
	}
	a.odd = false
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		if hasDetails(key) && c.Open('{') {
			for key, ok := c.Member(); ok; key, ok = c.Member() {
				a.member(key, c.Value())
			}
			continue
		}
		a.member(key, c.Value())
	}
}

// hasDetails tells whether a member of a usage object is an object with fields of
// an account in it.
func hasDetails(key []byte) bool {
	switch string(key) {
	case "prompt_tokens_details", "completion_tokens_details", // chat and completions
		"input_tokens_details", "output_tokens_details", // Responses, images
		"billed_units": // Cohere
		return true
	}
	return false
}

func (a *Account) member(key, value []byte) {
	if f := a.field(key); f != nil {
		f.set(value)
	}
}

// field is where a member of a usage object is kept; nil for nowhere.
func (a *Account) field(key []byte) *field {
	switch string(key) {
	case "prompt_tokens":
		return &a.prompt
	case "completion_tokens":
		return &a.completion
	case "total_tokens":
		return &a.total
	case "input_tokens":
		return &a.input
	case "output_tokens":
		return &a.output
	case "cached_tokens", "prompt_cache_hit_tokens": // the latter is DeepSeek's
		return &a.cached
	case "reasoning_tokens":
		return &a.reasoning
	case "cache_creation_input_tokens":
		return &a.cacheWritten
	case "cache_read_input_tokens":
		return &a.cacheRead
	}
	return a.ollamaField(key)
}

// ollamaField is field for the members that Ollama has beside its answer.
func (a *Account) ollamaField(key []byte) *field {
	switch string(key) {
	case "prompt_eval_count":
		return &a.evalPrompt
	case "eval_count":
		return &a.eval
	}
	return nil
}

// ReadAnswer takes note of the usage in a whole JSON answer: under usage, under
// Cohere's meta, or beside the answer as with Ollama. Only the top level counts;
// what else an answer says is the model's. Of an answer that is not valid JSON it
// makes nonsense at worst.
func (a *Account) ReadAnswer(answer []byte) {
	if len(answer) > 4*tailSize && a.readEnd(answer) {
		return // and a megabyte of embeddings need not be walked
	}
	a.readTop(answer)
}

// ReadHead is ReadAnswer for the beginning of an answer that is too long to be
// held. ReadTail is for its end.
func (a *Account) ReadHead(head []byte) { a.readTop(head[:min(len(head), tailSize)]) }

// readTop goes through the members that are whole.
func (a *Account) readTop(answer []byte) {
	c := jsonwalk.New(answer)
	if !c.Open('{') {
		return
	}
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		value := c.Value()
		if c.Peek() == 0 { // it may go on
			return
		}
		a.answerMember(key, value)
	}
}

func (a *Account) answerMember(key, value []byte) {
	switch string(key) {
	case "usage":
		if !jsonwalk.Blank(value) {
			a.Read(value)
		}
	case "meta":
		if len(value) > 0 && value[0] == '{' {
			a.Read(value)
		}
	default:
		if f := a.ollamaField(key); f != nil {
			f.set(value)
		}
	}
}
