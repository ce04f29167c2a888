// Package status is what the router says of itself at a moment: its pools, their
// deployments and how they are. The admin API shows it, the metrics count it, and
// the command line prints it.
package status

// Status is all pools of a running config, in the config's order. Those of
// several handlers follow one another.
type Status struct {
	// Pools is never null on the admin API, nor are the lists below it.
	Pools []Pool `json:"pools"`
	// Redis is nil when instances share no state.
	Redis *Redis `json:"redis,omitempty"`
}

// Redis is how the state that instances share can be reached.
type Redis struct {
	// Up tells that the last exchange was answered. While it was not, every
	// instance goes on with what it knows itself.
	Up bool `json:"up"`
}

// Pool is a pool with its deployments, in the config's order.
type Pool struct {
	// Name is what clients call the pool.
	Name string `json:"name"`
	// Aliases are its other names.
	Aliases []string `json:"aliases,omitempty"`
	// Strategy is the name that the config calls it by.
	Strategy string `json:"strategy"`
	// QueueDepth is the number of requests that wait for capacity.
	QueueDepth int `json:"queue_depth"`
	// Deployments are those of all teams.
	Deployments []Deployment `json:"deployments"`

	// Queue tells queues apart: handlers that share one, and so show the same
	// requests, have equal values here. Nil is shared with nobody. It must be
	// comparable.
	Queue any `json:"-"`
}

// Deployment is one deployment. What it counts, it counts since this process
// first had it in its config; a reload does not begin anew.
type Deployment struct {
	// ID names the deployment within its pool.
	ID string `json:"id"`
	// Order is its tier; the lowest with a usable deployment serves.
	Order int `json:"order"`
	// Weight is its share among the usable deployments of its order.
	Weight float64 `json:"weight"`
	// State says whether it takes requests.
	State State `json:"state"`
	// Reason says what led to the state, where that can be said: the error class
	// of a cooldown, or which limit is used up.
	Reason string `json:"reason"`
	// CooldownRemainingMS is in milliseconds; 0 when it is not cooling.
	CooldownRemainingMS int64 `json:"cooldown_remaining_ms"`
	// InFlight is the number of requests that it is carrying.
	InFlight int64 `json:"in_flight"`
	// MaxParallel is how many it may carry; 0 is no limit.
	MaxParallel int64 `json:"max_parallel,omitempty"`
	// Requests are the attempts made.
	Requests uint64 `json:"requests"`
	// Failures are the attempts that failed by the deployment's own fault.
	Failures uint64 `json:"failures"`
	// TTFTMS is the average time to the first token, in milliseconds; 0 when
	// nothing was measured yet.
	TTFTMS float64 `json:"ttft_ms"`
	// RPM is the limit on requests per minute; nil where there is none.
	RPM *Limit `json:"rpm,omitempty"`
	// TPM is the limit on tokens per minute; nil where there is none.
	TPM *Limit `json:"tpm,omitempty"`
	// InputTokens are those of all prompts, cached ones among them.
	InputTokens uint64 `json:"input_tokens"`
	// OutputTokens are those of all answers, reasoning ones among them.
	OutputTokens uint64 `json:"output_tokens"`
	// Cost is what they have cost in US$, as far as that is known; nil where the
	// deployment has no price.
	Cost *float64 `json:"cost,omitempty"`

	// Shared tells deployments apart: handlers that share the state of one, and so
	// show the same requests, have equal values here. Nil is shared with nobody.
	// It must be comparable.
	Shared any `json:"-"`
}

// Limit is a limit per minute and how much of it is used.
type Limit struct {
	// Used is what the last minute has taken, in requests or tokens.
	Used float64 `json:"used"`
	// Limit is what a minute may take.
	Limit float64 `json:"limit"`
}

// State says whether requests reach a deployment, and if not, why.
type State string

const (
	// Healthy takes requests.
	Healthy State = "healthy"
	// Unhealthy is left out because active health checks fail.
	Unhealthy State = "unhealthy"
	// Cooling is left out for a while because of its own failures.
	Cooling State = "cooling"
	// Probing has ended its cooldown, and one request finds out how it is.
	Probing State = "probing"
	// Full carries as many requests as it may.
	Full State = "full"
	// Limited has used up its requests or tokens per minute.
	Limited State = "limited"
	// Draining takes no new requests because an operator said so.
	Draining State = "draining"
)

// States are all states that there are.
var States = [...]State{Healthy, Unhealthy, Cooling, Probing, Full, Limited, Draining}
