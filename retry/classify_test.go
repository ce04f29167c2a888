package retry

import (
	"net/http"
	"strings"
	"testing"
)

type classifyCase struct {
	name   string
	status int
	body   string
	want   Class
}

func runClassify(t *testing.T, cases []classifyCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := Classify(c.status, nil, []byte(c.body)); got != c.want {
				t.Errorf("Classify(%d, %s): got %v, want %v", c.status, c.body, got, c.want)
			}
		})
	}
}

func TestClassifyByStatusAlone(t *testing.T) {
	for _, c := range []struct {
		status int
		want   Class
	}{
		{200, None},
		{204, None},
		{299, None},
		{400, BadRequest},
		{401, Auth},
		{402, Quota},
		{403, Auth},
		{404, NotFound},
		{405, BadRequest},
		{408, Timeout},
		{409, Overloaded},
		{413, ContextWindow},
		{418, BadRequest},
		{422, BadRequest},
		{429, RateLimit},
		{500, ServerError},
		{501, BadRequest},
		{502, ServerError},
		{503, Overloaded},
		{504, Timeout},
		{520, ServerError},
		{521, ServerError},
		{522, Timeout},
		{523, ServerError},
		{524, Timeout},
		{529, Overloaded},
		{0, ServerError},
		{-1, ServerError},
		{100, ServerError},
		{302, ServerError},
		{600, ServerError},
		{1 << 30, ServerError},
	} {
		for _, body := range []string{"", " \n", "{}", "[]", "null", `{"error":null}`, "no idea", "<html>rate limit exceeded</html>", "{", `{"`} {
			if got := Classify(c.status, http.Header{}, []byte(body)); got != c.want {
				t.Errorf("Classify(%d, %q): got %v, want %v", c.status, body, got, c.want)
			}
		}
	}
}

func TestClassifyContextWindow(t *testing.T) {
	runClassify(t, []classifyCase{
		{"by code whatever the text", 400, `{"error":{"message":"no","type":"invalid_request_error","code":"context_length_exceeded"}}`, ContextWindow},
		{"llama.cpp by its numbers", 400, `{"error":{"code":400,"message":"no","type":"x","n_prompt_tokens":9000,"n_ctx":4096}}`, ContextWindow},
		{"cohere", 400, `{"message":"too many tokens: size limit exceeded by 1000 tokens"}`, ContextWindow},
		{"cohere by type", 400, `{"error_type":"TOO_MANY_TOKENS","message":"sorry"}`, ContextWindow},
		{"bedrock nova", 400, `{"message":"Input Tokens Exceeded: Number of input tokens exceeds maximum length."}`, ContextWindow},
		{"bedrock titan", 400, `{"message":"400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: 9001"}`, ContextWindow},
		{"xai", 400, `{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 537812 tokens."}`, ContextWindow},
		{"groq", 400, `{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error"}}`, ContextWindow},
		{"sglang", 400, `{"object":"error","message":"The input (40960 tokens) is longer than the model's context length (32768 tokens).","code":400}`, ContextWindow},
		{"mistral", 400, `{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","code":"3051"}`, ContextWindow},
		{"moonshot", 400, `{"error":{"message":"Invalid request: Your request exceeded model token limit: 8192","type":"invalid_request_error"}}`, ContextWindow},
		{"dashscope", 400, `{"code":"InvalidParameter","message":"Range of input length should be [1, 30720]"}`, ContextWindow},
		{"lm studio", 400, `{"error":"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens"}`, ContextWindow},
		{"llama.cpp batch in a 500", 500, `{"error":{"code":500,"message":"input is too large to process. increase the physical batch size","type":"server_error"}}`, ContextWindow},
		{"a long message", 400, `{"error":{"message":"Invalid 'messages[1].content': string too long. Expected a string with maximum length 1048576, but got a string with length 1587392 instead.","code":"string_above_max_length"}}`, ContextWindow},
		{"anthropic size", 413, `{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}`, ContextWindow},
		{"together in a 403", 403, `{"error":{"message":"Input token count + max_tokens exceeds the context length of this model"}}`, ContextWindow},
		{"vllm decoder", 400, `{"object":"error","message":"The decoder prompt (length 40000) is longer than the maximum model length of 32768.","code":400}`, ContextWindow},
		{"sambanova", 400, `{"error":{"message":"The provided prompt is 16000 tokens long, but the model has maximum sequence length 8192"}}`, ContextWindow},
		{"copilot", 400, `{"error":{"message":"prompt token count of 140000 exceeds the limit of 128000","code":"model_max_prompt_tokens_exceeded"}}`, ContextWindow},
		{"watsonx", 400, `{"errors":[{"code":"invalid_input_argument","message":"the number of input tokens 5000 cannot exceed the total tokens limit 4096 for this model"}]}`, ContextWindow},
		{"cloudflare", 400, `{"success":false,"errors":[{"message":"AiError: The estimated number of input and maximum output tokens (9000) exceeded this model context window limit (8192).","code":5021}]}`, ContextWindow},
		{"litellm", 400, `{"error":{"message":"litellm.ContextWindowExceededError: no","type":null,"code":"400"}}`, ContextWindow},
		{"plain text", 400, "the prompt is too long", ContextWindow},

		{"not an overlong user id", 400, `{"error":{"message":"Invalid 'user': string too long. Expected a string with maximum length 64, but got a string with length 80 instead.","code":"string_above_max_length"}}`, BadRequest},
		{"not too much output", 400, `{"error":{"message":"max_tokens is too large: 100000. This model supports at most 16384 completion tokens","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}`, BadRequest},
		{"not a positive max_tokens", 400, `{"message":"max_tokens must be at least 1, got 0"}`, BadRequest},
		{"not an echoed prompt", 422, `{"detail":[{"type":"missing","loc":["body","model"],"msg":"Field required","input":{"content":"the prompt is too long"}}]}`, BadRequest},
		{"not an echoed value", 400, `{"message":"1 validation error for Request: input_value={'content': 'context length exceeded'}"}`, BadRequest},
		{"never a 429 by code", 429, `{"error":{"code":"context_length_exceeded","message":"maximum context length"}}`, RateLimit},
		{"never a token rate in a 413", 413, `{"error":{"message":"Request too large: reduce the length of the messages; tokens per minute (TPM): Limit 6000"}}`, RateLimit},
	})
}

func TestClassifyLimits(t *testing.T) {
	runClassify(t, []classifyCase{
		{"groq tokens per day", 429, `{"error":{"message":"Rate limit reached for model x on tokens per day (TPD): Limit 100000, Used 99000, Requested 2000. Please try again in 9m38.016s.","type":"tokens","code":"rate_limit_exceeded"}}`, Quota},
		{"openai rate with a billing link", 429, `{"error":{"message":"Rate limit reached for gpt-4 on requests per min. Limit: 3 / min. Please add a payment method to your account at https://platform.openai.com/account/billing.","type":"requests","code":"rate_limit_exceeded"}}`, RateLimit},
		{"gemini minute quota", 429, `{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateContentInputTokensPerModelPerMinute-FreeTier"}]},{"retryDelay":"40s"}]}}`, RateLimit},
		{"gemini day quota", 429, `[{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}]`, Quota},
		{"gemini zero limit", 429, `{"error":{"code":429,"message":"Quota exceeded for metric: generate_content_free_tier_requests, limit: 0, model: x","status":"RESOURCE_EXHAUSTED"}}`, Quota},
		{"gemini limit that begins like zero", 429, `{"error":{"code":429,"message":"Quota exceeded for metric: requests, limit: 05","status":"RESOURCE_EXHAUSTED"}}`, RateLimit},
		{"gemini capacity", 429, `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"reason":"MODEL_CAPACITY_EXHAUSTED"}]}}`, Overloaded},
		{"together credit limit", 429, `{"error":{"message":"You have reached the rate limit","type":"credit_limit"}}`, RateLimit},
		{"tgi overloaded", 429, `{"error":"Model is overloaded","error_type":"overloaded"}`, Overloaded},
		{"openrouter free models per day", 429, `{"error":{"message":"Rate limit exceeded: free-models-per-day. Add 10 credits","code":429}}`, Quota},
		{"cohere trial key", 429, `{"message":"You are using a Trial key, which is limited to 1000 API calls / month."}`, Quota},
		{"cohere trial rate", 429, `{"message":"You are using a Trial key, which is limited to 40 API calls / minute."}`, RateLimit},
		{"bedrock throttling under another status", 400, `{"message":"Too many tokens, please wait before trying again."}`, RateLimit},
		{"vertex 500 that says 429", 500, `{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}`, RateLimit},
		{"anthropic credit", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing"}}`, Quota},
		{"anthropic usage limit", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2025-09-01"}}`, Quota},
		{"unicode escapes", 403, `{"error":{"message":"\u7528\u6237\u4f59\u989d\u4e0d\u8db3","type":"new_api_error"}}`, Quota},
		{"cerebras day", 429, `{"message":"Tokens per day limit exceeded - too many tokens processed.","type":"too_many_tokens_error","param":"quota","code":"token_quota_exceeded"}`, Quota},
		{"cerebras minute", 429, `{"message":"Requests per minute limit exceeded - too many requests sent.","type":"too_many_requests_error","code":"request_quota_exceeded"}`, RateLimit},
		{"cloudflare day", 429, `{"success":false,"errors":[{"code":3036,"message":"you have used up your daily free allocation of 10,000 neurons"}]}`, Quota},
		{"cloudflare capacity", 429, `{"success":false,"errors":[{"code":3040,"message":"AiError: Capacity temporarily exceeded, please try again."}]}`, Overloaded},
		{"no blank before the unit", 429, `{"message":"You exceeded your current quota of 3/min"}`, RateLimit},
		{"no blank before the day", 429, `{"error":{"message":"Limit 200/day","code":"rate_limit_exceeded"}}`, Quota},
		{"voyage without payment", 429, `{"detail":"You have not yet added your payment method in the billing page and will have reduced rate limits of 3 RPM and 10K TPM."}`, RateLimit},
		{"moonshot quota", 429, `{"error":{"message":"Your account is suspended, please check your plan and billing details","type":"exceeded_current_quota_error"}}`, Quota},
		{"moonshot overloaded", 429, `{"error":{"message":"The engine is currently overloaded, please try again later","type":"engine_overloaded_error"}}`, Overloaded},
		{"novita balance", 403, `{"code":403,"reason":"NOT_ENOUGH_BALANCE","message":"not enough balance"}`, Quota},
		{"elevenlabs quota", 401, `{"detail":{"status":"quota_exceeded","message":"This request exceeds your quota."}}`, Quota},
		{"fireworks suspended", 412, `{"error":{"message":"Account x is suspended, possibly due to reaching the monthly spending limit"}}`, Quota},
		{"azure volume", 403, `{"error":{"code":"403","message":"Out of call volume quota. Quota will be replenished in 2 days."}}`, Quota},
		{"litellm budget", 400, `{"error":{"message":"Budget has been exceeded! Current cost: 2","type":"budget_exceeded","code":"400"}}`, Quota},
		{"groq flex tier", 498, `{"error":{"message":"Flex tier capacity exceeded","code":"capacity_exceeded"}}`, Overloaded},
		{"not a link to rate limits", 400, `{"error":{"message":"bad parameter, see https://host/docs/rate-limits","type":"invalid_request_error"}}`, BadRequest},
		{"a page behind a 429", 429, `<html>You are out of credits</html>`, RateLimit},
	})
}

func TestClassifyKeysAndModels(t *testing.T) {
	runClassify(t, []classifyCase{
		{"gemini key", 400, `{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"x","reason":"API_KEY_INVALID"}]}}`, Auth},
		{"anthropic key", 401, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`, Auth},
		{"bedrock access", 403, `{"message":"You don't have access to the model with the specified model ID."}`, Auth},
		{"openai project without the model", 403, `{"error":{"message":"Project proj_x does not have access to model gpt-4","type":"invalid_request_error","code":"model_not_found"}}`, NotFound},
		{"account behind the key", 401, `{"error":{"message":"Your account was terminated due to violation of our usage policies","code":"account_deactivated"}}`, Auth},
		{"azure deployment", 404, `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`, NotFound},
		{"mistral model", 400, `{"object":"error","message":"Invalid model: foo","type":"invalid_model","param":null,"code":"1500"}`, NotFound},
		{"openrouter model", 400, `{"error":{"message":"foo/bar is not a valid model ID","code":400}}`, NotFound},
		{"groq retired model", 400, `{"error":{"message":"The model x has been decommissioned","code":"model_decommissioned"}}`, NotFound},
		{"wrong path", 404, "404 page not found", NotFound},
		{"starlette", 404, `{"detail":"Not Found"}`, NotFound},
		{"bedrock on-demand", 400, `{"message":"Invocation of model ID x with on-demand throughput isn\u2019t supported."}`, NotFound},
		{"cloudflare model", 400, `{"success":false,"errors":[{"message":"AiError: No such model @cf/x or task","code":5007}]}`, NotFound},
		{"hugging face provider", 400, `{"error":{"message":"The requested model 'x' is not supported by any provider you have enabled.","code":"model_not_supported"}}`, NotFound},
		{"vertex publisher model in a stream", 200, `{"error":{"message":"Publisher Model projects/p/models/x was not found or your project does not have access to it."}}`, NotFound},
		{"anthropic organization", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"This organization has been disabled."}}`, Auth},
		{"bedrock token", 403, `{"message":"The security token included in the request is invalid."}`, Auth},
		{"not a parameter of a model", 400, `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model.","type":"invalid_request_error"}}`, BadRequest},
		{"not a file", 400, `{"error":{"message":"No such File object: file-abc","type":"invalid_request_error"}}`, BadRequest},
	})
}

func TestClassifyContentPolicy(t *testing.T) {
	runClassify(t, []classifyCase{
		{"openai images", 400, `{"error":{"code":"content_policy_violation","message":"Your request was rejected as a result of our safety system.","type":"invalid_request_error"}}`, ContentPolicy},
		{"anthropic output", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}`, ContentPolicy},
		{"openrouter moderation", 403, `{"error":{"code":403,"message":"openai/gpt-4 requires moderation on OpenInference. Your input was flagged for \"violence\"","metadata":{"reasons":["violence"],"flagged_input":"rate limit exceeded"}}}`, ContentPolicy},
		{"xai", 403, `{"code":"The caller does not have permission to execute the specified operation","error":"Content violates usage guidelines."}`, ContentPolicy},
		{"dashscope", 400, `{"code":"DataInspectionFailed","message":"Input data may contain inappropriate content."}`, ContentPolicy},
		{"deepseek", 400, `{"error":{"message":"Content Exists Risk","type":"invalid_request_error"}}`, ContentPolicy},
		{"volcengine", 400, `{"error":{"code":"InputTextSensitiveContentDetected","message":"x"}}`, ContentPolicy},
		{"not a violated schema", 400, `{"error":{"message":"Constraint violation: messages.0.content must be a string"}}`, BadRequest},
		{"not openrouter's data policy", 404, `{"error":{"message":"No endpoints found matching your data policy.","code":404}}`, NotFound},
	})
}

func TestClassifyServerSide(t *testing.T) {
	runClassify(t, []classifyCase{
		{"envoy", 503, "upstream connect error or disconnect/reset before headers. reset reason: connection timeout", Overloaded},
		{"busy slots", 409, `{"error":"no slot available"}`, Overloaded},
		{"groq capacity", 500, `{"error":{"message":"Llama is currently over capacity","type":"internal_server_error"}}`, Overloaded},
		{"hugging face loading", 503, `{"error":"Model x is currently loading","estimated_time":20.0}`, Overloaded},
		{"timeout as 500", 500, `{"error":{"message":"Request timed out"}}`, Timeout},
		{"not the download of an image", 400, `{"error":{"message":"Timed out while downloading image","code":"timeout"}}`, BadRequest},
		{"cloudflare's guess at the cause", 524, `{"detail":"the origin is overloaded","error_name":"x"}`, Timeout},
		{"tgi generation", 424, `{"error":"Request failed during generation","error_type":"generation"}`, ServerError},
		{"not implemented for good", 501, `{"error":{"message":"overloaded","type":"overloaded_error"}}`, BadRequest},
		{"a tool call that speaks of limits", 400, `{"error":{"code":"tool_use_failed","message":"rate limit exceeded: prompt is too long","type":"invalid_request_error"}}`, BadRequest},
	})
}

func TestClassifyShapesOfBodies(t *testing.T) {
	const inner = `{"error":{"message":"x","code":"insufficient_quota"}}`
	for name, body := range map[string]string{
		"object":          inner,
		"array":           `[` + inner + `]`,
		"double encoded":  `{"error":{"message":` + jsonString(inner) + `}}`,
		"behind a prefix": `{"error":{"message":` + jsonString("upstream said: "+inner) + `}}`,
		"thrice encoded":  `{"message":` + jsonString(`{"message":`+jsonString(inner)+`}`) + `}`,
		"a JSON string":   jsonString(inner),
		"openrouter raw":  `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":` + jsonString(inner) + `}}}`,
		"flat":            `{"object":"error","message":"x","code":"insufficient_quota"}`,
		"detail object":   `{"detail":` + inner + `}`,
		"error string":    `{"error":"insufficient_quota"}`,
		"event stream":    "event: error\ndata: " + inner + "\n\n",
		"cut off":         `{"error":{"code":"insufficient_quota","mess`,
		"raw newline":     "{\"error\":{\"message\":\"a\nb\",\" code\":\"insufficient_quota\"}}",
		"Python repr":     `{'error': {'message': 'x', 'code': 'insufficient_quota'}}`,
		"other case":      `{"Error":{"Code":"InsufficientQuota"}}`,
		"after much":      `{"error":{"ignored":"` + strings.Repeat("x", maxBody/2) + `","code":"insufficient_quota"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got := Classify(400, nil, []byte(body)); got != Quota {
				t.Errorf("got %v, want %v for %.300s", got, Quota, body)
			}
		})
	}
	t.Run("beyond 64 KiB", func(t *testing.T) {
		body := `{"error":{"ignored":"` + strings.Repeat("x", maxBody) + `","code":"insufficient_quota"}}`
		if got := Classify(400, nil, []byte(body)); got != BadRequest {
			t.Errorf("got %v, want %v", got, BadRequest)
		}
	})
	t.Run("deeper than an error can be", func(t *testing.T) {
		body := strings.Repeat(`{"error":`, 10_000) + `"insufficient_quota"`
		if got := Classify(400, nil, []byte(body)); got != BadRequest {
			t.Errorf("got %v, want %v", got, BadRequest)
		}
	})
}

func TestClassifyAWSErrorHeader(t *testing.T) {
	for name, want := range map[string]Class{
		"ThrottlingException": RateLimit,
		"ThrottlingException:http://internal.amazon.com/coral/": RateLimit,
		"com.amazon.coral.service#AccessDeniedException":        Auth,
		"ServiceUnavailableException":                           Overloaded,
		"ValidationException":                                   BadRequest,
	} {
		header := http.Header{"X-Amzn-Errortype": {name}}
		if got := Classify(400, header, []byte(`{"message":"no"}`)); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, row := range readCorpus(f) {
		f.Add(row.Status, []byte(row.Body))
	}
	f.Add(400, []byte(`[}`))
	f.Add(400, []byte("{\"error\":\"\\ud83d\\u"))
	f.Add(200, []byte(`"{\"error\":[[[`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		header := http.Header{"X-Amzn-Errortype": {string(body[:min(len(body), 80)])}}
		c := Classify(status, header, body)
		switch {
		case c >= NumClasses, c == ClientAuth, c == Canceled, c == Connection:
			t.Fatalf("got %v for status %d", c, status)
		case c == None && (status < 200 || status >= 300):
			t.Fatalf("got none for status %d", status)
		case c == ContextWindow && status == 429:
			t.Fatal("a 429 became a context window error")
		}
		if event := ClassifyEvent(body); status >= 200 && status < 300 && event != c {
			t.Fatalf("as an event %v, as a body %v", event, c)
		}
	})
}

// The three answers that fail most often, each as its provider sends it.
func BenchmarkClassify(b *testing.B) {
	for _, bench := range []struct {
		name   string
		status int
		body   string
	}{
		{"429", 429, `{"error":{"message":"Rate limit reached for gpt-4.1 in organization org-x on tokens per min (TPM): Limit 30000, Used 18928, Requested 11159. Please try again in 174ms. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`},
		{"400", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 3333404 tokens > 200000 maximum"},"request_id":"req_011CeCGmMJJGRCp7xgjqapmJ"}`},
		{"500", 500, `{"type":"error","error":{"type":"api_error","message":"Internal server error"},"request_id":"req_011Ca22E7qmK5pRh2ALrmXqy"}`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			body := []byte(bench.body)
			b.ReportAllocs()
			for b.Loop() {
				Classify(bench.status, nil, body)
			}
		})
	}
}
