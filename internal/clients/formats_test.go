package clients

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The formats that answers are written in: OpenAI's chat completions and
// Responses, and Anthropic's messages; whole, and as the events of a stream.

// toolPieces are the pieces that streamed arguments come in: they end within a
// name and within a value.
var toolPieces = []string{arguments[:5], arguments[5:13], arguments[13:]}

func quote(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // nothing here fails to marshal
	}
	return string(b)
}

const chatUsage = `{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}`

func chatWhole(q question, a answer) string {
	message, finish := `"content":`+quote(a.text), "stop"
	if a.tool != "" {
		message = `"content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":` + quote(a.tool) + `,"arguments":` + quote(arguments) + `}}]`
		finish = "tool_calls"
	}
	return fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion","created":1735689600,"model":%s,"choices":[{"index":0,"message":{"role":"assistant","refusal":null,%s},"logprobs":null,"finish_reason":"%s"}],"usage":%s}`,
		quote(q.model), message, finish, chatUsage)
}

func chatEvents(q question, a answer) []string {
	chunk := func(choices, rest string) string {
		return fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1735689600,"model":%s,"choices":%s%s}`, quote(q.model), choices, rest)
	}
	delta := func(delta, finish string) string {
		return chunk(`[{"index":0,"delta":`+delta+`,"logprobs":null,"finish_reason":`+finish+`}]`, "")
	}
	events := []string{delta(`{"role":"assistant","content":""}`, "null")}
	finish := `"stop"`
	if a.tool != "" {
		finish = `"tool_calls"`
		events = append(events, delta(`{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":`+quote(a.tool)+`,"arguments":""}}]}`, "null"))
		for _, piece := range toolPieces {
			events = append(events, delta(`{"tool_calls":[{"index":0,"function":{"arguments":`+quote(piece)+`}}]}`, "null"))
		}
	} else {
		for _, token := range tokens(a.text) {
			events = append(events, delta(`{"content":`+quote(token)+`}`, "null"))
		}
	}
	events = append(events, delta(`{}`, finish))
	if q.usage {
		events = append(events, chunk(`[]`, `,"usage":`+chatUsage))
	}
	return append(events, "[DONE]")
}

func responseOf(q question, status, output, usage string) string {
	return fmt.Sprintf(`{"id":"resp_1","object":"response","created_at":1735689600,"status":"%s","error":null,"incomplete_details":null,"instructions":null,"model":%s,"output":[%s],"parallel_tool_calls":true,"tools":[],"usage":%s}`,
		status, quote(q.model), output, usage)
}

// responseItem is an item of the output: nothing in it yet, or all of it.
func responseItem(a answer, done bool) string {
	status, args, content := "in_progress", "", ""
	if done {
		status, args, content = "completed", arguments, responsePart(a.text)
	}
	if a.tool != "" {
		return fmt.Sprintf(`{"type":"function_call","id":"fc_1","call_id":"call_1","name":%s,"arguments":%s,"status":"%s"}`, quote(a.tool), quote(args), status)
	}
	return fmt.Sprintf(`{"type":"message","id":"msg_1","role":"assistant","status":"%s","content":[%s]}`, status, content)
}

func responsePart(text string) string {
	return `{"type":"output_text","text":` + quote(text) + `,"annotations":[],"logprobs":[]}`
}

const responseUsage = `{"input_tokens":3,"input_tokens_details":{"cached_tokens":0},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":8}`

func responsesWhole(q question, a answer) string {
	return responseOf(q, "completed", responseItem(a, true), responseUsage)
}

func responsesEvents(q question, a answer) []string {
	var events []string
	add := func(kind, rest string) {
		events = append(events, fmt.Sprintf("event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%d,%s}", kind, kind, len(events), rest))
	}
	add("response.created", `"response":`+responseOf(q, "in_progress", "", "null"))
	add("response.output_item.added", `"output_index":0,"item":`+responseItem(a, false))
	if a.tool != "" {
		for _, piece := range toolPieces {
			add("response.function_call_arguments.delta", `"item_id":"fc_1","output_index":0,"delta":`+quote(piece))
		}
		add("response.function_call_arguments.done", `"item_id":"fc_1","output_index":0,"name":`+quote(a.tool)+`,"arguments":`+quote(arguments))
	} else {
		const place = `"item_id":"msg_1","output_index":0,"content_index":0,`
		add("response.content_part.added", place+`"part":`+responsePart(""))
		for _, token := range tokens(a.text) {
			add("response.output_text.delta", place+`"logprobs":[],"delta":`+quote(token))
		}
		add("response.output_text.done", place+`"logprobs":[],"text":`+quote(a.text))
		add("response.content_part.done", place+`"part":`+responsePart(a.text))
	}
	add("response.output_item.done", `"output_index":0,"item":`+responseItem(a, true))
	add("response.completed", `"response":`+responsesWhole(q, a))
	return events
}

func message(q question, content, stop, usage string) string {
	return fmt.Sprintf(`{"id":"msg_1","type":"message","role":"assistant","model":%s,"content":[%s],"stop_reason":%s,"stop_sequence":null,"usage":%s}`, quote(q.model), content, stop, usage)
}

func toolUse(name, input string) string {
	return `{"type":"tool_use","id":"toolu_1","name":` + quote(name) + `,"input":` + input + `}`
}

func messagesWhole(q question, a answer) string {
	content, stop := `{"type":"text","text":`+quote(a.text)+`}`, `"end_turn"`
	if a.tool != "" {
		content, stop = toolUse(a.tool, arguments), `"tool_use"`
	}
	return message(q, content, stop, `{"input_tokens":3,"output_tokens":5}`)
}

func messagesEvents(q question, a answer) []string {
	var events []string
	add := func(kind, rest string) {
		events = append(events, fmt.Sprintf("event: %s\ndata: {\"type\":\"%s\"%s}", kind, kind, rest))
	}
	block, delta, pieces, stop := `{"type":"text","text":""}`, `{"type":"text_delta","text":%s}`, tokens(a.text), "end_turn"
	if a.tool != "" {
		block, delta, pieces, stop = toolUse(a.tool, "{}"), `{"type":"input_json_delta","partial_json":%s}`, toolPieces, "tool_use"
	}
	add("message_start", `,"message":`+message(q, "", "null", `{"input_tokens":3,"output_tokens":1}`))
	add("content_block_start", `,"index":0,"content_block":`+block)
	add("ping", "")
	for _, piece := range pieces {
		add("content_block_delta", `,"index":0,"delta":`+strings.Replace(delta, "%s", quote(piece), 1))
	}
	add("content_block_stop", `,"index":0`)
	add("message_delta", `,"delta":{"stop_reason":"`+stop+`","stop_sequence":null},"usage":{"output_tokens":5}`)
	add("message_stop", "")
	return events
}
