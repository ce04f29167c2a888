package cache

import "strings"

// fields say what the members of a request body are to its key.
type fields struct {
	// ignored change nothing about an answer.
	ignored map[string]bool
	// defaults are what members mean that are not there, in canonical form. What is
	// null is as if it were not there. An unknown member always counts.
	defaults map[string]string
	// barred are members that make something of the request that no copy of an
	// answer can be, unless they have one of these values in canonical form.
	barred map[string]bool
}

// nothing are the values that turn a member off.
var nothing = map[string]bool{"z": true, "f": true}

// optional are members whose null is the same as none.
const optional = "max_tokens max_completion_tokens stop seed tools tool_choice functions function_call logit_bias " +
	"top_logprobs response_format service_tier stream_options modalities audio prediction reasoning_effort verbosity " +
	"web_search_options suffix logprobs store metadata user dimensions top_n instructions reasoning text include " +
	"max_output_tokens max_tool_calls prompt previous_response_id conversation system stop_sequences thinking top_k container"

// byKind are the fields of each kind of request. The defaults are those that the
// inventors of the formats state; a server may have others, which is what
// Request.Literal is for.
var byKind = [...]fields{
	Chat: {
		ignored: set("user safety_identifier metadata prompt_cache_key prompt_cache_retention priority"),
		defaults: defaults(`{"temperature":1,"top_p":1,"n":1,"stream":false,"presence_penalty":0,"frequency_penalty":0,
			"logprobs":false,"parallel_tool_calls":true,"response_format":{"type":"text"}}`),
		barred: set("store"),
	},
	Completions: {
		ignored: set("user priority"),
		defaults: defaults(`{"temperature":1,"top_p":1,"n":1,"best_of":1,"stream":false,"echo":false,
			"presence_penalty":0,"frequency_penalty":0}`),
	},
	// The answer repeats what the request says of itself, so nothing is ignored.
	Responses: {
		defaults: defaults(`{"temperature":1,"top_p":1,"stream":false,"background":false,"parallel_tool_calls":true,
			"truncation":"disabled"}`),
		barred: set("store background previous_response_id conversation"),
	},
	Messages: {
		ignored:  set("metadata"),
		defaults: defaults(`{"temperature":1,"stream":false}`),
		barred:   set("container"),
	},
	Embeddings: {
		ignored:  set("user priority"),
		defaults: defaults(`{"encoding_format":"float"}`),
	},
	Rerank: {
		ignored:  set("user priority"),
		defaults: defaults(`{}`),
	},
}

func set(names string) map[string]bool {
	m := make(map[string]bool)
	for name := range strings.FieldsSeq(names) {
		m[name] = true
	}
	return m
}

// defaults are the members of a JSON object in canonical form, and null for what
// is optional.
func defaults(object string) map[string]string {
	m := make(map[string]string)
	for name := range strings.FieldsSeq(optional) {
		m[name] = "z"
	}
	var f form
	f.reset([]byte(object))
	f.keep = func(key, value, _ []byte) (bool, error) {
		m[string(key)] = string(value)
		return true, nil
	}
	if err := f.whole(); err != nil { // it is written above
		panic(err)
	}
	return m
}

// says tells whether a member counts, with its value in canonical form.
func (f *fields) says(key, value []byte, literal bool) (bool, error) {
	if f.barred[string(key)] && !nothing[string(value)] {
		return false, errOdd
	}
	if f.ignored[string(key)] {
		return false, nil
	}
	def, known := f.defaults[string(key)]
	switch {
	case !known:
		return true, nil
	case string(value) == "z":
		return false, nil
	}
	return literal || string(value) != def, nil
}
