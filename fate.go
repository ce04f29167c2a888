package llmrouter

import (
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// fate is what became of a request, as placeholders and the access log show it. It
// is written once and read afterwards.
type fate struct {
	model  string
	result engine.Result
	cache  source
}

// fateNames are the names of what value knows.
var fateNames = [...]string{
	"model", "pool", "deployment", "attempts", "fallbacks", "error_class",
	"ttft_ms", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "usage", "cost", "affinity", "cache",
}

// value is what stands under a name. What is not known is empty.
func (f *fate) value(name string) (value any, ok bool) {
	res := &f.result
	switch name {
	case "model":
		return f.model, true
	case "pool":
		if res.Tried != nil { // the deployment's: where it fell back to, nothing may have been tried
			return res.Tried.Name, true
		}
		return res.Pool.Name, true
	case "deployment":
		return res.Deployment(), true
	case "attempts":
		return res.Attempts, true
	case "fallbacks":
		return res.Fallbacks, true
	case "error_class":
		if res.Class == retry.None {
			return "", true
		}
		return res.Class.String(), true
	case "ttft_ms":
		if res.FirstToken <= 0 {
			return "", true
		}
		return float64(res.FirstToken.Round(time.Microsecond)) / float64(time.Millisecond), true
	case "input_tokens":
		return f.tokens(res.Usage.Input), true
	case "output_tokens":
		return f.tokens(res.Usage.Output), true
	case "cached_tokens":
		return f.tokens(res.Usage.Cached), true
	case "reasoning_tokens":
		return f.tokens(res.Usage.Reasoning), true
	case "usage":
		return res.Usage.State.String(), true
	case "cost":
		if !res.CostKnown {
			return "", true
		}
		return res.Cost, true
	case "affinity":
		return res.Affinity.String(), true
	case "cache":
		return string(f.cache), true
	}
	return nil, false
}

func (f *fate) tokens(n int64) any {
	if f.result.Usage.State == usage.Unknown {
		return ""
	}
	return n
}

// placeholder implements caddy.ReplacerFunc.
func (f *fate) placeholder(key string) (any, bool) {
	name, ok := strings.CutPrefix(key, "http.llm_router.")
	if !ok {
		return nil, false
	}
	return f.value(name)
}

// MarshalLogObject implements zapcore.ObjectMarshaler. What is empty is left out.
func (f *fate) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	for _, name := range fateNames {
		switch value, _ := f.value(name); value := value.(type) {
		case string:
			if value != "" {
				enc.AddString(name, loggable(value))
			}
		case int:
			enc.AddInt(name, value)
		case int64:
			enc.AddInt64(name, value)
		case float64:
			enc.AddFloat64(name, value)
		}
	}
	return nil
}

// maxLogged is how much of a text from outside goes into a line of a log, in bytes.
const maxLogged = 256

func loggable(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	return strings.ToValidUTF8(text[:maxLogged], "") + "…"
}

// show makes the fate available to the placeholders and to the access log, if
// there is one. It must be called on the goroutine of the request.
func (f *fate) show(r *http.Request, repl *caddy.Replacer) {
	repl.Map(f.placeholder)
	ctx := r.Context()
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); !ok || server.Logs == nil {
		return
	}
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Set(zap.Object("llm_router", f))
	}
}

// Interface guard
var _ zapcore.ObjectMarshaler = (*fate)(nil)
