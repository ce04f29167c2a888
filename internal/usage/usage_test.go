package usage

import (
	"fmt"
	"testing"
)

func TestUsageOfAnswers(t *testing.T) {
	reported := func(input, output, cached, reasoning int64) Usage {
		return Usage{Input: input, Output: output, Cached: cached, Reasoning: reasoning, State: Reported}
	}
	for name, tt := range map[string]struct {
		answer  string
		want    Usage
		invalid bool
	}{
		"chat": {answer: `{"id":"1","choices":[{"message":{"content":"\"usage\":{}"}}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,` +
			`"prompt_tokens_details":{"cached_tokens":7,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":0}}}`,
			want: reported(19, 10, 7, 4)},
		"chat, without details": {answer: `{"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":null}}`, want: reported(19, 10, 0, 0)},
		"DeepSeek": {answer: `{"usage":{"prompt_tokens":19,"completion_tokens":10,"prompt_cache_hit_tokens":16,"prompt_cache_miss_tokens":3}}`,
			want: reported(19, 10, 16, 0)},
		"xAI, reasoning beside the completion": {answer: `{"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}}`,
			want: reported(32, 103, 0, 94)},
		"zeros under the other names": {answer: `{"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"input_tokens":0,"output_tokens":0}}`,
			want: reported(19, 10, 0, 0)},
		"both names of a cache": {answer: `{"usage":{"prompt_tokens":19,"completion_tokens":10,"cache_read_input_tokens":7,"cache_creation_input_tokens":2,"prompt_tokens_details":{"cached_tokens":7}}}`,
			want: reported(19, 10, 7, 0)},
		"embeddings": {answer: `{"data":[{"embedding":[0.1,-2e3]}],"usage":{"prompt_tokens":8,"total_tokens":8}}`, want: reported(8, 0, 0, 0)},
		"rerank":     {answer: `{"usage":{"total_tokens":815},"results":[]}`, want: reported(815, 0, 0, 0)},
		"Cohere":     {answer: `{"meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":5.0,"output_tokens":418}}}`, want: reported(5, 418, 0, 0)},
		"Cohere, version 2": {answer: `{"usage":{"billed_units":{"input_tokens":5,"output_tokens":418},"tokens":{"input_tokens":71,"output_tokens":418}}}`,
			want: reported(5, 418, 0, 0)},
		"Cohere, search units": {answer: `{"meta":{"billed_units":{"search_units":1}}}`},
		"Responses": {answer: `{"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":12},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}}`,
			want: reported(36, 87, 12, 64)},
		"messages": {answer: `{"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"cache_creation":{"ephemeral_5m_input_tokens":100},"output_tokens":15}}`,
			want: reported(1125, 15, 1000, 0)},
		"messages, null in the cache": {answer: `{"usage":{"input_tokens":25,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":15}}`,
			want: reported(25, 15, 0, 0)},
		"Ollama":                              {answer: `{"message":{"content":"Hi"},"done":true,"prompt_eval_count":26,"eval_count":298}`, want: reported(26, 298, 0, 0)},
		"Ollama, prompt from the cache":       {answer: `{"done":true,"eval_count":298}`, want: reported(0, 298, 0, 0)},
		"Ollama, embeddings":                  {answer: `{"embeddings":[[0.1]],"prompt_eval_count":8}`, want: reported(8, 0, 0, 0)},
		"images":                              {answer: `{"data":[],"usage":{"total_tokens":100,"input_tokens":50,"output_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}`, want: reported(50, 50, 0, 0)},
		"audio by tokens":                     {answer: `{"text":"Hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":14},"output_tokens":45,"total_tokens":59}}`, want: reported(14, 45, 0, 0)},
		"audio by time":                       {answer: `{"text":"Hi","usage":{"type":"duration","seconds":3}}`},
		"an output that follows from a total": {answer: `{"usage":{"prompt_tokens":8,"total_tokens":10}}`, want: reported(8, 2, 0, 0)},
		"an input that follows from a total":  {answer: `{"usage":{"output_tokens":8,"total_tokens":10}}`, want: reported(2, 8, 0, 0)},
		"parts above the whole":               {answer: `{"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10,"cached_tokens":9,"reasoning_tokens":3}}`, want: reported(8, 2, 8, 2)},
		"the largest number":                  {answer: `{"usage":{"prompt_tokens":2147483648,"completion_tokens":0}}`, want: reported(MaxTokens, 0, 0, 0)},
		"twice, the latest counts":            {answer: `{"usage":{"prompt_tokens":1,"completion_tokens":"x"},"usage":{"completion_tokens":3}}`, want: reported(1, 3, 0, 0)},
		"usage deeper down":                   {answer: `{"data":{"usage":{"prompt_tokens":1,"completion_tokens":1}}}`},
		"no usage":                            {answer: `{"choices":[]}`},
		"null":                                {answer: `{"usage":null}`},
		"an empty usage":                      {answer: `{"usage":{}}`},
		"a list":                              {answer: `[{"usage":{"prompt_tokens":1}}]`},
		"nothing":                             {answer: ``},
		"negative":                            {answer: `{"usage":{"prompt_tokens":-1,"completion_tokens":1}}`, invalid: true},
		"a fraction":                          {answer: `{"usage":{"prompt_tokens":1.5,"completion_tokens":1}}`, invalid: true},
		"an exponent":                         {answer: `{"usage":{"prompt_tokens":1e3,"completion_tokens":1}}`, invalid: true},
		"absurd":                              {answer: `{"usage":{"prompt_tokens":2147483649,"completion_tokens":1}}`, invalid: true},
		"beyond any integer":                  {answer: `{"usage":{"prompt_tokens":99999999999999999999999,"completion_tokens":1}}`, invalid: true},
		"a string":                            {answer: `{"usage":{"prompt_tokens":"1","completion_tokens":1}}`, invalid: true},
		"a boolean":                           {answer: `{"usage":{"prompt_tokens":true,"completion_tokens":1}}`, invalid: true},
		"an object":                           {answer: `{"usage":{"prompt_tokens":{},"completion_tokens":1}}`, invalid: true},
		"a detail":                            {answer: `{"usage":{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":-1}}}`, invalid: true},
		"usage that is a number":              {answer: `{"usage":7}`, invalid: true},
		"usage that is a list":                {answer: `{"usage":[1]}`, invalid: true},
		"output alone":                        {answer: `{"usage":{"completion_tokens":1}}`, invalid: true},
		"a total below the output":            {answer: `{"usage":{"completion_tokens":2,"total_tokens":1}}`, invalid: true},
		"Ollama, wrong":                       {answer: `{"prompt_eval_count":"26","eval_count":298}`, invalid: true},
	} {
		t.Run(name, func(t *testing.T) {
			var a Account
			a.ReadAnswer([]byte(tt.answer))
			if got, invalid := a.Usage(); got != tt.want || invalid != tt.invalid {
				t.Errorf("got %+v, invalid %v; want %+v, %v", got, invalid, tt.want, tt.invalid)
			}
		})
	}
}

func TestLatestValueOfAFieldHolds(t *testing.T) {
	for name, tt := range map[string]struct {
		objects []string
		want    Usage
		invalid bool
	}{
		"Anthropic's two parts": {
			[]string{`{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}`, `{"output_tokens":15}`},
			Usage{30, 15, 5, 0, Reported}, false,
		},
		"the input comes at the end": {
			[]string{`{"input_tokens":0,"output_tokens":0}`, `{"input_tokens":25,"output_tokens":15}`},
			Usage{25, 15, 0, 0, Reported}, false,
		},
		"a running account": {
			[]string{`{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}`, `{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}`},
			Usage{9, 2, 0, 0, Reported}, false,
		},
		"null takes nothing back": {
			[]string{`{"prompt_tokens":9,"completion_tokens":1}`, `null`, `{"prompt_tokens":null}`},
			Usage{9, 1, 0, 0, Reported}, false,
		},
		"nonsense at the end": {
			[]string{`{"prompt_tokens":9,"completion_tokens":1}`, `{"completion_tokens":-1}`},
			Usage{}, true,
		},
		"nonsense that is put right": {
			[]string{`[9]`, `{"prompt_tokens":9,"completion_tokens":-1}`, `{"completion_tokens":2}`},
			Usage{9, 2, 0, 0, Reported}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var a Account
			for _, o := range tt.objects {
				a.Read([]byte(o))
			}
			if got, invalid := a.Usage(); got != tt.want || invalid != tt.invalid {
				t.Errorf("got %+v, invalid %v; want %+v, %v", got, invalid, tt.want, tt.invalid)
			}
		})
	}
}

func TestEstimate(t *testing.T) {
	for _, tt := range []struct {
		said                  string
		prompt, events, bytes int64
		input, output         int64
	}{
		{"", 100, 0, 0, 100, 0},
		{"", 100, 7, 10, 100, 7},
		{"", 100, 2, 41, 100, 11},
		{`{"input_tokens":90,"output_tokens":1}`, 100, 2, 41, 90, 11},
		{`{"prompt_tokens":90,"completion_tokens":20}`, 100, 2, 41, 90, 20},
		{`{"prompt_tokens":-90,"completion_tokens":20}`, 100, 2, 41, 100, 11},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			var a Account
			if tt.said != "" {
				a.Read([]byte(tt.said))
			}
			want := Usage{Input: tt.input, Output: tt.output, State: Estimated}
			if got := a.Estimate(tt.prompt, tt.events, tt.bytes); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestStateNames(t *testing.T) {
	for s, want := range map[State]string{Unknown: "unknown", Reported: "reported", Estimated: "estimated", 9: "unknown"} {
		if got := s.String(); got != want {
			t.Errorf("%d: got %s, want %s", s, got, want)
		}
	}
}
