package cache

import (
	"bytes"
	"strconv"

	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
)

// Vector is the answer to one input.
type Vector struct {
	// Embedding and Model are JSON, as the upstream wrote them.
	Embedding, Model []byte
	// Tokens are the input's, as far as that is known: a part of those of the whole
	// request, by its length.
	Tokens int64
}

// JSON is the vector as it is kept.
func (v *Vector) JSON() []byte {
	b := append(make([]byte, 0, len(v.Embedding)+len(v.Model)+64), `{"model":`...)
	b = append(append(b, v.Model...), `,"tokens":`...)
	b = append(strconv.AppendInt(b, v.Tokens, 10), `,"embedding":`...)
	return append(append(b, v.Embedding...), '}')
}

// ReadVector reads what JSON wrote; false where it is something else.
func ReadVector(data []byte) (v Vector, ok bool) {
	if !jsonwalk.Valid(data) {
		return v, false
	}
	c := jsonwalk.New(data)
	if !c.Open('{') {
		return v, false
	}
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch string(key) {
		case "model":
			v.Model = c.Value()
		case "tokens":
			v.Tokens = int64(max(c.Small(), 0))
		case "embedding":
			v.Embedding = c.Value()
		default:
			return v, false
		}
	}
	return v, len(v.Model) > 0 && isVector(v.Embedding)
}

func isVector(value []byte) bool { return len(value) > 0 && (value[0] == '[' || value[0] == '"') }

// answer is what an upstream says of several inputs.
type answer struct {
	data, model []byte
	usage       bool
	tokens      int64
}

func readAnswer(body []byte) (a answer, ok bool) {
	if !jsonwalk.Valid(body) {
		return a, false
	}
	c := jsonwalk.New(body)
	if !c.Open('{') {
		return a, false
	}
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch value := c.Value(); string(key) {
		case "data":
			if a.data != nil { // each would be put in place of
				return a, false
			}
			a.data = value
		case "model":
			a.model = value
		case "usage":
			if a.usage {
				return a, false
			}
			a.usage = true
			u := jsonwalk.New(value)
			if u.Open('{') {
				a.readUsage(&u)
			}
		case "error":
			if !jsonwalk.Blank(value) {
				return a, false
			}
		}
	}
	return a, len(a.data) > 0 && len(a.model) > 0
}

func (a *answer) readUsage(c *jsonwalk.Cursor) {
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		if string(key) == "prompt_tokens" {
			a.tokens = int64(max(c.Small(), 0))
			continue
		}
		c.Value()
	}
}

// Split takes an answer to some of the inputs apart, one vector for each of them; false
// where it is not exactly that.
func (in *Inputs) Split(places []int, body []byte) ([]Vector, bool) {
	a, ok := readAnswer(body)
	if !ok {
		return nil, false
	}
	vectors := make([]Vector, len(places))
	c := jsonwalk.New(a.data)
	if !c.Open('[') {
		return nil, false
	}
	n := 0
	for ; c.Element(); n++ {
		index, embedding, ok := readDatum(&c, n)
		if !ok || index >= len(vectors) || vectors[index].Embedding != nil {
			return nil, false
		}
		vectors[index] = Vector{Embedding: embedding, Model: a.model}
	}
	if n != len(places) {
		return nil, false
	}
	in.share(places, vectors, a.tokens)
	return vectors, true
}

// readDatum reads one element of the data, whose index is as its place where it says
// none. One that says more than that cannot be put together again.
func readDatum(c *jsonwalk.Cursor, place int) (index int, embedding []byte, ok bool) {
	index = place
	if !c.Open('{') {
		return 0, nil, false
	}
	for key, more := c.Member(); more; key, more = c.Member() {
		switch string(key) {
		case "object":
			c.Value()
		case "index":
			index = c.Small()
		case "embedding":
			embedding = c.Value()
		default:
			return 0, nil, false
		}
	}
	return index, embedding, index >= 0 && isVector(embedding)
}

// share gives each input its part of the tokens, by its length. All parts together
// are all tokens.
func (in *Inputs) share(places []int, vectors []Vector, tokens int64) {
	var whole, done, given int64
	for _, place := range places {
		whole += int64(len(in.each[place]))
	}
	for i, place := range places {
		done += int64(len(in.each[place]))
		vectors[i].Tokens = tokens*done/whole - given
		given += vectors[i].Tokens
	}
}

// Join puts vectors together to an answer to all inputs. What else there is to say is
// taken from an answer to some of them, which may be nil; false where they are not of
// one model.
func Join(vectors []Vector, from []byte) ([]byte, bool) {
	size, tokens := len(from)+128, int64(0)
	for i := range vectors {
		if !bytes.Equal(vectors[i].Model, vectors[0].Model) {
			return nil, false
		}
		size += len(vectors[i].Embedding) + 64
		tokens += vectors[i].Tokens
	}
	b := append(make([]byte, 0, size), '{')
	if from == nil {
		b = append(append(append(b, `"object":"list","model":`...), vectors[0].Model...), ',')
		b = append(appendUsage(b, tokens), ',')
		return append(appendData(b, vectors), '}'), true
	}
	c := jsonwalk.New(from)
	c.Open('{')
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch value := c.Value(); string(key) {
		case "data":
			b = appendData(b, vectors)
		case "usage":
			b = appendUsage(b, tokens)
		default:
			b = append(append(append(b, '"'), key...), `":`...)
			b = append(b, value...)
		}
		b = append(b, ',')
	}
	b[len(b)-1] = '}'
	return b, true
}

func appendUsage(b []byte, tokens int64) []byte {
	b = strconv.AppendInt(append(b, `"usage":{"prompt_tokens":`...), tokens, 10)
	return append(strconv.AppendInt(append(b, `,"total_tokens":`...), tokens, 10), '}')
}

func appendData(b []byte, vectors []Vector) []byte {
	b = append(b, `"data":[`...)
	for i := range vectors {
		b = strconv.AppendInt(append(b, `{"object":"embedding","index":`...), int64(i), 10)
		b = append(append(append(b, `,"embedding":`...), vectors[i].Embedding...), "},"...)
	}
	b[len(b)-1] = ']'
	return b
}
