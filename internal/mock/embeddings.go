package mock

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

const (
	defaultDimensions = 8
	maxDimensions     = 4096
	// maxInputs is OpenAI's limit.
	maxInputs = 2048
)

type embeddingList struct {
	Object string         `json:"object"`
	Data   []embedding    `json:"data"`
	Model  string         `json:"model"`
	Usage  embeddingUsage `json:"usage"`
}

type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // []float32, or a string in base64
}

type embeddingUsage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

func embeddings(r *http.Request, q *request) *http.Response {
	inputs := embeddingInputs(q.body.Get("input"))
	if len(inputs) == 0 || len(inputs) > maxInputs {
		p := problem{q.dialect, api.Error{
			Status: http.StatusBadRequest, Param: "input",
			Message: "'input' must be a string or a list of 1 to 2048 inputs.",
		}}
		return p.response(r)
	}
	dimensions := defaultDimensions
	if d := q.body.Get("dimensions"); d.Exists() {
		if d.Type != gjson.Number || d.Num < 1 || d.Num > maxDimensions {
			p := problem{q.dialect, api.Error{
				Status: http.StatusBadRequest, Param: "dimensions",
				Message: "'dimensions' must be a number from 1 to 4096.",
			}}
			return p.response(r)
		}
		dimensions = int(d.Num)
	}
	list := embeddingList{Object: "list", Model: q.model, Data: make([]embedding, len(inputs))}
	base64 := q.body.Get("encoding_format").Str == "base64"
	for i, input := range inputs {
		var v any = vector(input.Raw, dimensions)
		if base64 {
			v = encodeVector(v.([]float32))
		}
		list.Data[i] = embedding{Object: "embedding", Index: i, Embedding: v}
		list.Usage.PromptTokens += words(input, 0)
	}
	list.Usage.TotalTokens = list.Usage.PromptTokens
	return newResponse(r, http.StatusOK, "application/json", marshal(list))
}

// embeddingInputs takes the four shapes of an input apart: a string, a list of
// strings, a list of token ids (one input), a list of those. It stops soon
// after maxInputs.
func embeddingInputs(input gjson.Result) []gjson.Result {
	if input.Type == gjson.String {
		return []gjson.Result{input}
	}
	if !input.IsArray() {
		return nil
	}
	var inputs []gjson.Result
	input.ForEach(func(_, item gjson.Result) bool {
		if item.Type == gjson.Number {
			inputs = []gjson.Result{input}
			return false
		}
		inputs = append(inputs, item)
		return len(inputs) <= maxInputs
	})
	return inputs
}

// vector makes a unit vector that depends on the input alone.
func vector(input string, dimensions int) []float32 {
	h := fnv.New64a()
	h.Write([]byte(input))
	rng := rand.New(rand.NewPCG(h.Sum64(), uint64(dimensions)))
	v := make([]float32, dimensions)
	var sum float64
	for i := range v {
		x := rng.NormFloat64()
		v[i] = float32(x)
		sum += x * x
	}
	norm := float32(math.Sqrt(sum))
	if norm == 0 {
		v[0], norm = 1, 1
	}
	for i := range v {
		v[i] /= norm
	}
	return v
}

// encodeVector is the encoding that OpenAI's own clients ask for.
func encodeVector(v []float32) string {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(b)
}
