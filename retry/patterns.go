package retry

// Everything that is known about the wording of errors is in this file, grouped
// by class, in four tables: names that decide, parts of such names, names that
// only say which family an error is of, and phrases. testdata/errors.jsonl holds
// bodies to try them on.

// Two things that texts say besides a class. They tell a limit that is over in
// a moment from one that is not.
const (
	// spent: the limit is one of a day or longer, or it is zero.
	spent = NumClasses + iota
	// momentary: the limit is one of a minute, or of requests at the same time.
	momentary
)

// marker is a machine-readable name: error.code, error.type, error_type, status,
// reason, an exception's name. Written as seen, compared by canonicalMarker.
type marker struct {
	class Class
	names []string
}

// markers decide on their own, whatever the status (429 apart).
var markers = []marker{
	// Limits over time. The names of Azure, Google, AWS and Mistral besides
	// OpenAI's; credit_limit is what Together calls a rate limit.
	{RateLimit, []string{
		"rate_limit", "rate_limited", "rate_limit_exceeded", "RateLimitReached", "too_many_requests",
		"throttling", "TooManyRequestsException", "credit_limit", "RequestLimitExceeded", "concurrency_limit_exceeded",
	}},
	// Money and allowances. Types often say invalid_request_error or come with a
	// 403 or 429, so these names have to win.
	{Quota, []string{
		"insufficient_quota", "quota_exceeded", "billing_not_active", "billing_hard_limit_reached", "BILLING_DISABLED",
		"billing_error", "payment_required", "insufficient_balance", "insufficient_funds", "insufficient_credits",
		"insufficient_user_quota", "pre_consume_token_quota_failed", "credits_exhausted", "budget_exceeded",
		"ServiceQuotaExceededException", "QUOTA_EXHAUSTED", "Arrearage", "AccountOverdueError", "usage_limit_reached",
		"NOT_ENOUGH_BALANCE", "exceeded_current_quota_error", "token_quota_reached",
	}},
	// Keys. Google and xAI send them with a 400.
	{Auth, []string{
		"authentication_error", "invalid_api_key", "wrong_api_key", "API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED",
		"invalid_authentication", "unauthorized", "UNAUTHENTICATED", "account_deactivated", "access_terminated",
		"AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException",
		"IncompleteSignature", "InvalidClientTokenId", "SERVICE_DISABLED", "CONSUMER_SUSPENDED",
		"ACCESS_TOKEN_EXPIRED", "IAM_PERMISSION_DENIED", "invalid_token", "invalid_organization",
		"unsupported_country_region_territory",
	}},
	// Models that the deployment does not have. OpenAI's Responses API and
	// Mistral send them with a 400, resellers with a 503.
	{NotFound, []string{
		"model_not_found", "DeploymentNotFound", "RESOURCE_DOES_NOT_EXIST", "ResourceNotFoundException", "invalid_model",
		"unknown_model", "model_not_available", "model_not_supported", "unsupported_model", "model_decommissioned",
		"ModelNotOpen", "unavailable_model", "InvalidEndpointOrModel.NotFound", "endpoint_not_found",
	}},
	// Too busy. Anthropic also says so in a 500, OpenAI inside a stream.
	{Overloaded, []string{
		"overloaded", "server_is_overloaded", "slow_down", "service_unavailable", "ServiceUnavailableException", "unavailable",
		"MODEL_CAPACITY_EXHAUSTED", "NoCapacity", "ModelNotReadyException", "server_busy", "healthcheck",
		"capacity_exceeded", "queue_exceeded",
	}},
	// Too slow. Only believed where the status leaves it open: a 400 may be about
	// the download of an image.
	{Timeout, []string{
		"timeout", "request_timeout", "gateway_timeout", "DEADLINE_EXCEEDED", "ModelTimeoutException", "connection_timeout",
	}},
	// Failures of the server with an unusual status: TGI's generation error is a
	// 424, Google's CANCELLED a 499 that no client caused.
	{ServerError, []string{
		"generation", "incomplete_generation", "CANCELLED", "ModelErrorException",
		"modelStreamErrorException",
	}},
	// Too long. Perplexity, llama.cpp and Cohere besides OpenAI; request_too_large
	// is Anthropic's 413.
	{ContextWindow, []string{
		"context_length_exceeded", "context_window_exceeded", "exceed_context_size", "context_exceeded", "too_many_tokens",
		"too_many_prompt_tokens", "request_too_large", "prompt_too_long", "input_too_long", "max_context_length_exceeded",
	}},
	// Filtered. invalid_prompt is what reasoning models say of a flagged prompt.
	{ContentPolicy, []string{
		"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation", "invalid_prompt", "moderation_blocked",
		"DataInspectionFailed", "data_inspection_failed", "content_moderation", "unsafe_content", "PROHIBITED_CONTENT",
		"image_safety_violation", "guardrail_intervened",
	}},
	// Requests whose message quotes what the model or the user wrote, so that no
	// phrase in it must be believed.
	{BadRequest, []string{
		"tool_use_failed", "json_validate_failed", "unsupported_parameter", "unknown_parameter",
		"unsupported_value",
	}},
}

// stems decide like markers when a name contains them: for the providers that
// are not listed. Canonical form; the first that fits.
var stems = []struct {
	class Class
	stem  string
}{
	{ContextWindow, "contextlength"},
	{ContextWindow, "contextwindow"},
	{ContextWindow, "contextsize"},
	{ContentPolicy, "contentfilter"},
	{ContentPolicy, "contentpolicy"},
	{ContentPolicy, "policyviolation"},
	{ContentPolicy, "moderation"},
	{ContentPolicy, "sensitive"},
	{Quota, "insufficientquota"},
	{Quota, "insufficientbalance"},
	{Quota, "insufficientcredit"},
	{Quota, "balancenotenough"},
	{Quota, "outofcredit"},
	{Quota, "budgetexceeded"},
	{Quota, "spendlimit"},
	{Quota, "overdue"},
	{RateLimit, "ratelimit"},
	{RateLimit, "throttl"},
	{RateLimit, "toomanyrequest"},
	{RateLimit, "concurrencylimit"},
	{Overloaded, "overload"},
	{NotFound, "modelnotfound"},
	{NotFound, "modelnotexist"},
	{NotFound, "deploymentnotfound"},
	{Auth, "apikey"},
	{Auth, "authenticationfail"},
}

// families only tell the kind of an error. They decide where the status says
// nothing, inside a stream: providers put invalid_request_error on anything from
// an empty account to a busy server. RESOURCE_EXHAUSTED is Google's word for
// both a rate and a daily quota.
var families = []marker{
	{RateLimit, []string{"RESOURCE_EXHAUSTED"}},
	{BadRequest, []string{
		"invalid_request", "BadRequest", "bad_request", "INVALID_ARGUMENT", "invalid_argument", "validation", "InvalidParameter",
		"invalid_parameter", "FAILED_PRECONDITION", "OUT_OF_RANGE", "unprocessable_entity", "not_supported", "UNIMPLEMENTED",
		"invalid_value", "image_generation_user_error",
	}},
	{Auth, []string{"permission", "PERMISSION_DENIED", "forbidden"}},
	{NotFound, []string{"not_found", "NOT_FOUND"}},
	{ServerError, []string{"api_error", "server_error", "internal_server_error", "INTERNAL", "UNKNOWN", "bad_gateway"}},
}

// phrase lists wordings that say one thing. The syntax is match's.
type phrase struct {
	says  Class
	texts []string
}

var phrases = []phrase{
	// A limit that a wait of seconds cures. The units are what tells "too many
	// tokens" of a rate from "too many tokens" of a context.
	{momentary, []string{
		"per min", "/ min", "/min", "per sec", "/sec", "per hour", "(tpm)", "(rpm)", "tpm$", "rpm$", "concurren", "并发",
	}},
	// A limit that lasts until tomorrow, or for ever. Only counts when something
	// says that a limit was hit.
	{spent, []string{
		"per day", "/ day", "/day", "daily", "per week", "weekly", "per month", "/ month", "/month", "monthly",
		"limit: 0$", "limit 0$", "per 86400",
	}},
	// Rates, for everything that is no 429: Groq's 413, events of a stream, 5xx of
	// gateways. Several words each, since documentation links say "rate-limits".
	{RateLimit, []string{
		"rate limit exceeded", "rate limit reached", "rate limit is exceeded", "rate limit has been", "rate limited",
		"exceed~rate limit", "hit~rate limit", "reached~rate limit", "too many requests", "too many tokens, please wait",
		"requests per min", "tokens per min", "request was throttled", "throttled", "throttling", "quota exceeded",
		"tier capacity exceeded", "resource exhausted", "resource has been exhausted", "concurrent requests",
		"concurrency limit", "请求频率", "请求过于频繁", "并发",
	}},
	// Money and allowances, in 400, 402, 403 and 429. The word billing alone says
	// nothing: rate limit texts link to the billing page. Google's 429 says
	// "exceeded your current quota" of a minute's too (see evidence.limit).
	{Quota, []string{
		"exceeded your current quota", "check your plan and billing", "insufficient~balance", "balance is insufficient",
		"balance is not enough", "not enough balance", "balance is too low", "credit balance", "insufficient~credit",
		"insufficient funds", "any credits",
		"insufficient quota", "not enough credits", "requires more credits", "can only afford", "out of credits",
		"used all~credits", "no credits", "credits~exhausted", "depleted~credits", "spend limit", "spending limit",
		"spending cap",
		"billing hard limit", "billing limit", "billing is not active", "billing not active", "check your billing",
		"enable billing",
		"budget has been exceeded", "exceeded budget", "budget exceeded", "exceeded your monthly", "monthly included credits",
		"monthly usage limit", "monthly limit", "specified api usage limits", "usage limit reached", "call volume quota",
		"payment required", "payment instrument", "top up", "in arrears", "overdue", "good standing",
		"free tier~exhausted", "too many tokens per day",
		"余额", "欠费", "额度",
	}},
	// Keys, for the providers that send them with a 400 or in a stream.
	{Auth, []string{
		"incorrect api key", "invalid api key", "invalid x api key", "api key not valid", "api key is not valid",
		"api key~is invalid", "api key expired", "api key is expired", "api key has expired", "api key~missing",
		"wrong api key", "no api key", "missing api key", "reported as leaked", "authentication fail", "authentication error",
		"invalid authentication", "invalid bearer", "invalid access token", "invalid subscription key",
		"could not validate credentials",
		"security token~invalid", "security token~expired", "account~deactivated", "account~suspended",
		"account~has been disabled",
		"access was terminated", "organization has been disabled", "user location is not supported",
	}},
	// Models, with a name in between. Only of models: a file or a tool call that
	// is not found is the client's mistake.
	{NotFound, []string{
		"model not found", "model * not found", "model * was not found", "models/* is not found", "model does not exist",
		"model * does not exist", "model * doesn't exist", "model identifier is invalid", "model * is not supported",
		"unknown model",
		"no such model", "invalid model", "is not a valid model", "model * has been decommissioned",
		"model * has been deprecated",
		"model~end of its life", "unable to access model", "deployment for this resource does not exist", "endpoint not found",
		"requested entity was not found", "on demand throughput", "model is not available", "no models loaded", "模型不存在",
	}},
	// Too busy, for 429 (TGI, Moonshot), 500 (Anthropic) and streams. The 503s do
	// not need it. "Unable to process your request" is Bedrock's in a stream.
	{Overloaded, []string{
		"overload", "over capacity", "at capacity", "no capacity", "at full capacity", "high demand", "high load", "heavy load",
		"server busy", "server is busy", "service is busy", "loading model", "model is loading", "currently loading",
		"still loading", "is not ready", "maximum capacity", "capacity temporarily exceeded", "high traffic",
		"pending requests exceeded", "queue is full", "queue full", "too many connections",
		"temporarily unavailable", "service unavailable", "is unable to process your request", "繁忙", "过载",
	}},
	// Too slow, for 500 and 502 of servers that have no other status for it.
	{Timeout, []string{"timed out", "request timeout", "gateway timeout", "deadline exceeded"}},
	// Too long: what is too long for what, in as many wordings as there are
	// servers. Not: max_tokens above what the model can write, which no larger
	// window cures. A negative max_tokens is vLLM's way to say it.
	{ContextWindow, []string{
		"context length", "context window", "context size~exceeded", "context size~exceed", "exceed~context", "context limit",
		"context the overflows", "context overflow", "longer than~context", "larger than~context",
		"maximum prompt length", "maximum input length", "maximum sequence length", "maximum model length",
		"max model len", "max tokens of~exceeded", "prompt length~exceed", "input length~exceed", "range of input length",
		"prompt is too long", "prompt too long", "prompt tokens too long", "input is too long", "input too long",
		"inputs are too long",
		"length of all messages is too long", "messages are too long", "too many input tokens", "too many prompt tokens",
		"too many tokens: size limit", "input tokens exceed", "input token count~exceed", "token count~exceed",
		"exceeds the maximum number of tokens", "exceeded model token limit", "exceed max message tokens", "expected maxlength",
		"number of input tokens~exceed", "reduce the length of the", "reduce your prompt", "reduce the prompt",
		"inputs` tokens + `max_new_tokens`", "inputs` must have less than", "max_tokens must be at least 1, got -",
		"max_completion_tokens must be at least 1, got -", "too large to process", "too large for model with",
		"string with maximum length #####", "request entity too large", "request exceeds the maximum size", "超长",
	}},
	// An output limit above what the model can write: a mistake of the request's,
	// although its texts speak of the context window as well.
	{BadRequest, []string{"max_tokens must be less than", "maximum value for max_tokens", "max_tokens is too large"}},
	// Filtered: prompts and answers. "Policy" alone is too little, as Bedrock's
	// keys and OpenRouter's data policies have one too.
	{ContentPolicy, []string{
		"content management polic", "content filter", "content polic", "content safety", "safety system", "safety filter",
		"flagged as potentially", "was flagged", "been flagged", "response was blocked", "prompt was blocked",
		"blocked by~guardrail",
		"blocked by~safety", "blocked due to safety", "violat~usage polic", "violat~guidelines",
		"inappropriate content", "sensitive content", "new_sensitive", "sensitive words", "sensitive information", "prohibited content",
		"content exists risk", "considered high risk", "敏感", "违规",
	}},
}
