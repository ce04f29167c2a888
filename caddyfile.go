package llmrouter

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"

	"github.com/llmrouter/caddy-llm-router/upstreams"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("llm_router", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("llm_router", httpcaddyfile.Before, "reverse_proxy")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return handler, nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens:
//
//	llm_router [<matcher>] {
//		# who is asking, for what
//		model    <value>
//		team     <value>
//		tags     <value...>
//		region   <value...>
//		priority <value>
//
//		max_body       <size>
//		unknown_model  reject|next
//		client_options <name...>
//
//		# defaults for every pool
//		strategy  <name> [{ <options> }]
//		failover  on|off
//		retries   <n> {
//			<class>  <n>
//			backoff  <initial> <max>
//			max_wait <duration> [<with_fallback>]
//			budget   <percent> [<min_per_second>]
//		}
//		cooldown  <duration>|off {
//			failure_rate  <percent> <min_requests>
//			window        <duration>
//			allowed_fails <n>
//			<class>       <n>
//			max           <duration>
//			growth        <factor> <max>
//			max_ejected   <percent>
//		}
//		deadline            <duration>
//		timeout             <duration>
//		first_token_timeout <duration>
//		idle_timeout        <duration>
//		resume              on|off
//		hedge               <duration>|p<NN> [<max>]|off
//		max_parallel        <n>
//		queue               <size> <timeout>|off
//		affinity            <value...>|off {
//			ttl  <duration>
//			size <n>
//		}
//		cache               <ttl>|off {
//			group    <name>
//			size     <bytes>
//			max_item <bytes>
//			vary     <value...>
//			defaults on|off
//		}
//		usage_in_stream     on|off
//		pre_call_checks     on|off {
//			tokenizer <name>
//		}
//		slow_start          <duration>
//		health_panic        on|off
//		fallback                <pool...>
//		context_window_fallback <pool...>
//		content_policy_fallback <pool...>
//		max_fallbacks           <n>
//
//		pool <name> [<alias...>] {
//			# any of the defaults above, for this pool
//			deployment <id> [<base_url>] {
//				base_url            <url>
//				model               <name>
//				api_key             <key> [<header>]
//				weight              <n>
//				order               <n>
//				rpm                 <n>
//				tpm                 <n>
//				max_parallel        <n>
//				cost                <input> <output> [<cached>]
//				base_model          <name>
//				timeout             <duration>
//				first_token_timeout <duration>
//				idle_timeout        <duration>
//				context_window      <tokens>
//				max_input           <tokens>
//				max_output          <tokens>
//				tokenizer           <name>
//				region              <name>
//				team                <id...>
//				tags                <tag...>
//				pass_priority       on|off
//				health_probe        models|completion
//				# subdirectives of reverse_proxy: header_up, header_down,
//				# transport, health_*, dynamic, lb_policy beside dynamic, ...
//			}
//		}
//
//		default_fallback <pool...>
//		prices <file>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	start := d.Token()
	if d.NextArg() {
		return d.Errf("llm_router takes no arguments but a matcher; unexpected '%s'", d.Val())
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		name := d.Val()
		if name == "pool" {
			if err := h.unmarshalPool(d); err != nil {
				return err
			}
			continue
		}
		known, err := h.Policy.UnmarshalSubdirective(d)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		token := d.Token()
		if err := h.unmarshalSubdirective(d); err != nil {
			return err
		}
		if d.NextBlock(d.Nesting()) {
			return upstreams.At(token).Errf("%s takes no block", name)
		}
	}
	if len(h.Pools) == 0 {
		return upstreams.At(start).Err("llm_router has no pools; expected at least one: pool <name> { ... }")
	}
	return nil
}

func (h *Handler) unmarshalSubdirective(d *caddyfile.Dispenser) error {
	name := d.Val()
	args := d.RemainingArgs()
	switch name {
	case "tags", "region", "client_options", "default_fallback":
		if len(args) == 0 {
			return d.Errf("%s: expected at least one argument", name)
		}
	case "model", "team", "priority", "max_body", "unknown_model", "prices":
		if len(args) != 1 {
			return d.Errf("%s: expected one argument, got %d", name, len(args))
		}
	default:
		return d.Errf("unrecognized subdirective '%s' in llm_router; expected pool, model, team, tags, region, priority, max_body, unknown_model, client_options, default_fallback, prices or one of: %s",
			name, strings.Join(upstreams.PolicySubdirectives(), ", "))
	}
	switch name {
	case "model":
		h.Model = args[0]
	case "team":
		h.Team = args[0]
	case "tags":
		h.Tags = args
	case "region":
		h.Regions = args
	case "prices":
		return h.unmarshalPrices(d, args[0])
	case "priority":
		if !validPriority(args[0]) {
			return d.Errf("priority: expected %s, got '%s'", priorityExpected, args[0])
		}
		h.Priority = args[0]
	case "client_options":
		for _, name := range args {
			if _, ok := clientOptions[name]; !ok {
				return d.Errf("client_options: there is no '%s'; expected some of: %s", name, strings.Join(clientOptionNames(), ", "))
			}
		}
		h.ClientOptions = args
	case "default_fallback":
		h.DefaultFallback = args
	case "max_body":
		size, err := humanize.ParseBytes(args[0])
		if err != nil || size == 0 || size > 1<<40 {
			return d.Errf("max_body: expected a size such as 64MiB, got '%s'", args[0])
		}
		h.MaxBody = int64(size)
	case "unknown_model":
		if args[0] != rejectUnknown && args[0] != nextUnknown {
			return d.Errf("unknown_model: expected %s or %s, got '%s'", rejectUnknown, nextUnknown, args[0])
		}
		h.UnknownModel = args[0]
	}
	return nil
}

func (h *Handler) unmarshalPool(d *caddyfile.Dispenser) error {
	pool := new(upstreams.Pool)
	start := d.Token()
	if err := pool.UnmarshalCaddyfile(d); err != nil {
		return err
	}
	d = upstreams.At(start) // the names are there, not where the block ends
	for _, other := range h.Pools {
		for _, name := range append([]string{pool.Name}, pool.Aliases...) {
			if name == other.Name || slices.Contains(other.Aliases, name) {
				return d.Errf("pool %s: the name %s is taken by pool %s", pool.Name, name, other.Name)
			}
		}
	}
	if i := slices.Index(pool.Aliases, pool.Name); i >= 0 {
		return d.Errf("pool %s: the alias %s is the pool's own name", pool.Name, pool.Name)
	}
	for i, alias := range pool.Aliases {
		if slices.Contains(pool.Aliases[:i], alias) {
			return d.Errf("pool %s: the alias %s is given twice", pool.Name, alias)
		}
		if strings.Contains(alias, "{") {
			return d.Errf("pool %s: the alias %s looks like a placeholder or a missing line break", pool.Name, alias)
		}
	}
	h.Pools = append(h.Pools, pool)
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
