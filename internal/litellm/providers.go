package litellm

import "strings"

// provider is how the servers behind a prefix of LiteLLM's model names are
// reached in OpenAI's wire format.
type provider struct {
	base    string   // the address when api_base is missing; empty: it has none
	baseVar string   // the variable that LiteLLM takes the address from
	keys    []string // the variables of the key, the usual one first
	noKey   bool     // works without a key, so none is taken from the environment
	suffix  string   // what LiteLLM's api_base lacks
	header  string   // of the key; empty is Authorization
	headers map[string]string
	model   func(string) string
}

// providers are those that serve OpenAI's format.
var providers = map[string]provider{
	"openai":                 {base: "https://api.openai.com/v1", keys: []string{"OPENAI_API_KEY"}, model: withoutBridge},
	"text-completion-openai": {base: "https://api.openai.com/v1", keys: []string{"OPENAI_API_KEY"}},
	"azure":                  {baseVar: "AZURE_API_BASE", keys: []string{"AZURE_API_KEY", "AZURE_OPENAI_API_KEY"}, header: "Api-Key", model: azureDeployment},
	"azure_text":             {baseVar: "AZURE_API_BASE", keys: []string{"AZURE_API_KEY", "AZURE_OPENAI_API_KEY"}, header: "Api-Key", model: azureDeployment},
	"azure_ai":               {baseVar: "AZURE_AI_API_BASE", keys: []string{"AZURE_AI_API_KEY"}},
	// The same key opens /v1/chat/completions and /v1/messages in this header.
	"anthropic": {
		base: "https://api.anthropic.com/v1", suffix: "/v1", keys: []string{"ANTHROPIC_API_KEY"},
		header: "X-Api-Key", headers: map[string]string{"Anthropic-Version": "2023-06-01"},
	},
	"gemini":            {base: "https://generativelanguage.googleapis.com/v1beta/openai", keys: []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"}},
	"cohere":            {base: "https://api.cohere.ai/compatibility/v1", keys: []string{"COHERE_API_KEY", "CO_API_KEY"}},
	"cohere_chat":       {base: "https://api.cohere.ai/compatibility/v1", keys: []string{"COHERE_API_KEY", "CO_API_KEY"}},
	"openrouter":        {base: "https://openrouter.ai/api/v1", keys: []string{"OPENROUTER_API_KEY", "OR_API_KEY"}},
	"groq":              {base: "https://api.groq.com/openai/v1", keys: []string{"GROQ_API_KEY"}},
	"mistral":           {base: "https://api.mistral.ai/v1", keys: []string{"MISTRAL_API_KEY"}},
	"codestral":         {base: "https://codestral.mistral.ai/v1", keys: []string{"CODESTRAL_API_KEY"}},
	"deepseek":          {base: "https://api.deepseek.com/v1", keys: []string{"DEEPSEEK_API_KEY"}},
	"together_ai":       {base: "https://api.together.xyz/v1", keys: []string{"TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"}},
	"fireworks_ai":      {base: "https://api.fireworks.ai/inference/v1", keys: []string{"FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"}, model: fireworksModel},
	"perplexity":        {base: "https://api.perplexity.ai", keys: []string{"PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"}},
	"xai":               {base: "https://api.x.ai/v1", keys: []string{"XAI_API_KEY"}},
	"cerebras":          {base: "https://api.cerebras.ai/v1", keys: []string{"CEREBRAS_API_KEY"}},
	"deepinfra":         {base: "https://api.deepinfra.com/v1/openai", keys: []string{"DEEPINFRA_API_KEY"}},
	"nvidia_nim":        {base: "https://integrate.api.nvidia.com/v1", keys: []string{"NVIDIA_NIM_API_KEY"}},
	"sambanova":         {base: "https://api.sambanova.ai/v1", keys: []string{"SAMBANOVA_API_KEY"}},
	"novita":            {base: "https://api.novita.ai/v3/openai", keys: []string{"NOVITA_API_KEY"}},
	"hyperbolic":        {base: "https://api.hyperbolic.xyz/v1", keys: []string{"HYPERBOLIC_API_KEY"}},
	"moonshot":          {base: "https://api.moonshot.ai/v1", keys: []string{"MOONSHOT_API_KEY"}},
	"dashscope":         {base: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", keys: []string{"DASHSCOPE_API_KEY"}},
	"volcengine":        {base: "https://ark.cn-beijing.volces.com/api/v3", keys: []string{"VOLCENGINE_API_KEY", "ARK_API_KEY"}},
	"databricks":        {baseVar: "DATABRICKS_API_BASE", keys: []string{"DATABRICKS_API_KEY"}},
	"github":            {base: "https://models.inference.ai.azure.com", keys: []string{"GITHUB_API_KEY"}},
	"huggingface":       {base: "https://router.huggingface.co/v1", keys: []string{"HF_TOKEN", "HUGGINGFACE_API_KEY"}, model: huggingFaceModel},
	"nebius":            {base: "https://api.studio.nebius.ai/v1", keys: []string{"NEBIUS_API_KEY"}},
	"featherless_ai":    {base: "https://api.featherless.ai/v1", keys: []string{"FEATHERLESS_AI_API_KEY"}},
	"friendliai":        {base: "https://api.friendli.ai/serverless/v1", keys: []string{"FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"}},
	"lambda_ai":         {base: "https://api.lambda.ai/v1", keys: []string{"LAMBDA_API_KEY"}},
	"meta_llama":        {base: "https://api.llama.com/compat/v1", keys: []string{"LLAMA_API_KEY"}},
	"inception":         {base: "https://api.inceptionlabs.ai/v1", keys: []string{"INCEPTION_API_KEY"}},
	"wandb":             {base: "https://api.inference.wandb.ai/v1", keys: []string{"WANDB_API_KEY"}},
	"zai":               {base: "https://api.z.ai/api/paas/v4", keys: []string{"ZAI_API_KEY"}},
	"ai21_chat":         {base: "https://api.ai21.com/studio/v1", keys: []string{"AI21_API_KEY"}},
	"vercel_ai_gateway": {base: "https://ai-gateway.vercel.sh/v1", keys: []string{"VERCEL_AI_GATEWAY_API_KEY"}},
	"litellm_proxy":     {baseVar: "LITELLM_PROXY_API_BASE", keys: []string{"LITELLM_PROXY_API_KEY"}, noKey: true},
	"hosted_vllm":       {baseVar: "HOSTED_VLLM_API_BASE", keys: []string{"HOSTED_VLLM_API_KEY"}, noKey: true},
	"vllm":              {baseVar: "HOSTED_VLLM_API_BASE", keys: []string{"HOSTED_VLLM_API_KEY"}, noKey: true},
	"lm_studio":         {baseVar: "LM_STUDIO_API_BASE", keys: []string{"LM_STUDIO_API_KEY"}, noKey: true},
	"llamafile":         {base: "http://127.0.0.1:8080/v1", baseVar: "LLAMAFILE_API_BASE", keys: []string{"LLAMAFILE_API_KEY"}, noKey: true},
	"xinference":        {base: "http://127.0.0.1:9997/v1", baseVar: "XINFERENCE_API_BASE", keys: []string{"XINFERENCE_API_KEY"}, noKey: true},
	"ollama":            {base: "http://localhost:11434/v1", baseVar: "OLLAMA_API_BASE", suffix: "/v1", keys: []string{"OLLAMA_API_KEY"}, noKey: true},
	"ollama_chat":       {base: "http://localhost:11434/v1", baseVar: "OLLAMA_API_BASE", suffix: "/v1", keys: []string{"OLLAMA_API_KEY"}, noKey: true},
	"custom_openai":     {keys: []string{"OPENAI_LIKE_API_KEY"}, noKey: true},
	"openai_like":       {baseVar: "OPENAI_LIKE_API_BASE", keys: []string{"OPENAI_LIKE_API_KEY"}, noKey: true},
	"openai-like":       {baseVar: "OPENAI_LIKE_API_BASE", keys: []string{"OPENAI_LIKE_API_KEY"}, noKey: true},
	"docker_model_runner": {
		base: "http://localhost:12434/engines/v1", baseVar: "DOCKER_MODEL_RUNNER_API_BASE",
		keys: []string{"DOCKER_MODEL_RUNNER_API_KEY"}, noKey: true,
	},
}

// foreign are the providers whose wire format LiteLLM translates.
var foreign = map[string]bool{
	"bedrock": true, "bedrock_converse": true, "sagemaker": true, "sagemaker_chat": true, "vertex_ai": true,
	"vertex_ai_beta": true, "palm": true, "replicate": true, "watsonx": true, "watsonx_text": true,
	"predibase": true, "nlp_cloud": true, "aleph_alpha": true, "petals": true, "baseten": true,
	"cloudflare": true, "oobabooga": true, "triton": true, "snowflake": true, "clarifai": true,
	"maritalk": true, "ai21": true, "oci": true, "gigachat": true, "github_copilot": true,
	"deepgram": true, "elevenlabs": true, "assemblyai": true, "aws_polly": true, "anthropic_text": true,
	"text-completion-codestral": true, "auto_router": true, "voyage": true, "jina_ai": true,
	"infinity": true, "recraft": true, "topaz": true, "langgraph": true, "runwayml": true,
	"fal_ai": true, "stability": true, "black_forest_labs": true, "amazon_nova": true,
}

// families tell the provider of a model name without a prefix by how it begins.
var families = []struct{ prefix, provider string }{
	{"gpt-", "openai"},
	{"chatgpt-", "openai"},
	{"o1", "openai"},
	{"o3", "openai"},
	{"o4", "openai"},
	{"text-embedding-", "openai"},
	{"omni-moderation", "openai"},
	{"text-moderation", "openai"},
	{"dall-e", "openai"},
	{"whisper-", "openai"},
	{"tts-", "openai"},
	{"ft:", "openai"},
	{"davinci", "openai"},
	{"babbage", "openai"},
	{"codex-", "openai"},
	{"computer-use", "openai"},
	{"claude-", "anthropic"},
	{"command", "cohere"},
	{"gemini-", "vertex_ai"},
}

// splitModel takes LiteLLM's model name apart, into the provider and the name
// that the provider knows. The provider is empty when it cannot be told.
func splitModel(model, custom string) (name, rest string) {
	prefix, after, slash := strings.Cut(model, "/")
	if custom != "" {
		if slash && prefix == custom {
			return custom, after
		}
		return custom, model
	}
	if _, known := providers[prefix]; slash && (known || foreign[prefix]) {
		return prefix, after
	}
	if slash {
		return "", model
	}
	for _, f := range families {
		if strings.HasPrefix(model, f.prefix) {
			return f.provider, model
		}
	}
	return "", model
}

// withoutBridge drops what tells LiteLLM to call another path than the client
// did.
func withoutBridge(model string) string {
	return strings.TrimPrefix(model, "responses/")
}

// azureDeployment drops what tells LiteLLM which kind of model a deployment is.
func azureDeployment(model string) string {
	for _, kind := range []string{"responses/", "o_series/", "gpt5_series/"} {
		model = strings.TrimPrefix(model, kind)
	}
	return model
}

// fireworksModel gives a short name the path that Fireworks knows it by.
func fireworksModel(model string) string {
	if strings.HasPrefix(model, "accounts/") || strings.Contains(model, "#") {
		return model
	}
	return "accounts/fireworks/models/" + model
}

// huggingFaceModel turns provider/organization/name into organization/name:provider.
func huggingFaceModel(model string) string {
	parts := strings.SplitN(model, "/", 3)
	if len(parts) < 3 {
		return model
	}
	return parts[1] + "/" + parts[2] + ":" + parts[0]
}
