package mock

import "github.com/llmrouter/caddy-llm-router/retry"

// The texts below are those of the providers, so that whatever recognises a
// provider's error recognises these.

func openAIError(class retry.Class, model string) openAIFailureDetail {
	e := func(message, kind, param, code string) openAIFailureDetail {
		d := openAIFailureDetail{Message: message, Type: kind}
		if param != "" {
			d.Param = &param
		}
		if code != "" {
			d.Code = &code
		}
		return d
	}
	switch class {
	case retry.Timeout:
		return e("Request timed out.", "timeout", "", "")
	case retry.RateLimit:
		return e("Rate limit reached for "+model+" in organization org-mock on tokens per min (TPM): "+
			"Limit 30000, Used 29500, Requested 1000. Please try again in "+retryAfter+"s. "+
			"Visit https://platform.openai.com/account/rate-limits to learn more.",
			"tokens", "", "rate_limit_exceeded")
	case retry.Quota:
		return e("You exceeded your current quota, please check your plan and billing details.",
			"insufficient_quota", "", "insufficient_quota")
	case retry.Auth, retry.ClientAuth:
		return e("Incorrect API key provided: sk-mock. "+
			"You can find your API key at https://platform.openai.com/account/api-keys.",
			"invalid_request_error", "", "invalid_api_key")
	case retry.NotFound:
		return e("The model `"+model+"` does not exist or you do not have access to it.",
			"invalid_request_error", "model", "model_not_found")
	case retry.Overloaded:
		return e("Our servers are currently overloaded. Please try again later.",
			"service_unavailable_error", "", "server_is_overloaded")
	case retry.ContextWindow:
		return e("This model's maximum context length is 128000 tokens. However, your messages resulted in "+
			"130000 tokens. Please reduce the length of the messages.",
			"invalid_request_error", "messages", "context_length_exceeded")
	case retry.ContentPolicy:
		return e("The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "+
			"Please modify your prompt and retry.",
			"invalid_request_error", "prompt", "content_filter")
	case retry.BadRequest:
		return e("Unknown parameter: 'mock'.", "invalid_request_error", "mock", "unknown_parameter")
	}
	return e("The server had an error while processing your request. Sorry about that!", "server_error", "", "")
}

func anthropicError(class retry.Class, model string) (kind, message string) {
	switch class {
	case retry.Timeout:
		return "timeout_error", "Request timed out"
	case retry.RateLimit:
		return "rate_limit_error", "This request would exceed your organization's rate limit of " +
			"30,000 input tokens per minute. Please try again later."
	case retry.Quota:
		return "invalid_request_error", "Your credit balance is too low to access the Anthropic API. " +
			"Please go to Plans & Billing to upgrade or purchase credits."
	case retry.Auth, retry.ClientAuth:
		return "authentication_error", "invalid x-api-key"
	case retry.NotFound:
		return "not_found_error", "model: " + model
	case retry.Overloaded:
		return "overloaded_error", "Overloaded"
	case retry.ContextWindow:
		return "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"
	case retry.ContentPolicy:
		return "invalid_request_error", "Output blocked by content filtering policy"
	case retry.BadRequest:
		return "invalid_request_error", "mock: Extra inputs are not permitted"
	}
	return "api_error", "Internal server error"
}

func ollamaError(class retry.Class, model string) string {
	switch class {
	case retry.Timeout:
		return "request timed out"
	case retry.RateLimit:
		return "too many concurrent requests"
	case retry.Quota:
		return "you've reached your weekly usage limit, please upgrade to continue"
	case retry.Auth, retry.ClientAuth:
		return "unauthorized"
	case retry.NotFound:
		return "model '" + model + "' not found"
	case retry.Overloaded:
		return "server busy, please try again.  maximum pending requests exceeded"
	case retry.ContextWindow:
		return "the input length exceeds the context length"
	case retry.ContentPolicy:
		return "the prompt was blocked by the content filter"
	case retry.BadRequest:
		return "invalid option: mock"
	}
	return "llama runner process has terminated"
}
