package clients

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// What a client asks and what it is answered is the same in all formats: the
// formats are read into a question, and write an answer.

// question is what matters of a request of any format.
type question struct {
	model  string
	stream bool
	usage  bool   // of a stream, in an event of its own
	tool   string // the name of a tool that may be called
	result string // of the tool, which the conversation ends with
	schema bool   // the answer is to follow a JSON schema
	image  []byte
}

// answer is a text, or the call of a tool.
type answer struct {
	text string
	tool string
}

const (
	// greeting has characters of two, three and four bytes.
	greeting = "Grüße from the provider, 世界 👋."
	// arguments is what every tool is called with, and structured is what every
	// schema is filled with.
	arguments  = `{"city":"Tromsø","days":3}`
	structured = `{"city":"Tromsø","degrees":-4,"sky":["clear","dark"]}`
)

func (q question) answer() answer {
	switch {
	case q.result != "":
		return answer{text: "The tool says: " + q.result}
	case q.schema:
		return answer{text: structured}
	case q.tool != "":
		return answer{tool: q.tool}
	case q.image != nil:
		return answer{text: fingerprint(q.image)}
	}
	return answer{text: greeting}
}

// tokens are the pieces of a streamed text.
func tokens(text string) []string { return strings.SplitAfter(text, " ") }

// fingerprint tells that bytes have arrived as they were sent.
func fingerprint(b []byte) string {
	return fmt.Sprintf("%d bytes, sha256 %x", len(b), sha256.Sum256(b))
}

func chatQuestion(body []byte) question {
	last := lastOf(gjson.GetBytes(body, "messages"))
	q := question{
		model:  gjson.GetBytes(body, "model").String(),
		stream: gjson.GetBytes(body, "stream").Bool(),
		usage:  gjson.GetBytes(body, "stream_options.include_usage").Bool(),
		tool:   gjson.GetBytes(body, "tools.0.function.name").String(),
		schema: gjson.GetBytes(body, "response_format.json_schema.schema.properties.city").Exists(),
		image:  imageOf(last.Get(`content.#(type=="image_url").image_url.url`).String()),
	}
	if last.Get("role").String() == "tool" {
		q.result = last.Get("content").String()
	}
	return q
}

func responsesQuestion(body []byte) question {
	last := lastOf(gjson.GetBytes(body, "input"))
	return question{
		model:  gjson.GetBytes(body, "model").String(),
		stream: gjson.GetBytes(body, "stream").Bool(),
		tool:   gjson.GetBytes(body, "tools.0.name").String(),
		schema: gjson.GetBytes(body, "text.format.schema.properties.city").Exists(),
		image:  imageOf(last.Get(`content.#(type=="input_image").image_url`).String()),
		result: last.Get("output").String(),
	}
}

func messagesQuestion(body []byte) question {
	content := lastOf(gjson.GetBytes(body, "messages")).Get("content")
	q := question{
		model:  gjson.GetBytes(body, "model").String(),
		stream: gjson.GetBytes(body, "stream").Bool(),
		tool:   gjson.GetBytes(body, "tools.0.name").String(),
		schema: gjson.GetBytes(body, "output_config.format.schema.properties.city").Exists(),
		result: content.Get(`#(type=="tool_result").content`).String(),
	}
	if source := content.Get(`#(type=="image").source`); source.Get("type").String() == "base64" {
		q.image, _ = base64.StdEncoding.DecodeString(source.Get("data").String())
	}
	return q
}

func lastOf(list gjson.Result) gjson.Result {
	all := list.Array()
	if len(all) == 0 {
		return gjson.Result{}
	}
	return all[len(all)-1]
}

// imageOf decodes a data URL; nil for anything else.
func imageOf(url string) []byte {
	_, data, ok := strings.Cut(url, ";base64,")
	if !ok {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil
	}
	return b
}
