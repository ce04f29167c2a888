package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/llmrouter/caddy-llm-router/internal/status"
)

var somePools = []status.Pool{
	{Name: "gpt", QueueDepth: 3, Deployments: []status.Deployment{
		{ID: "east", State: status.Healthy, InFlight: 7},
		{ID: "west", State: status.Cooling},
	}},
	{Name: "empty"},
}

func TestGaugesReadTheConfig(t *testing.T) {
	now := status.Status{Pools: somePools, Redis: &status.Redis{Up: true}}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewLive(func() status.Status { return now }))
	want := `
# HELP caddy_llm_router_deployment_state 1 for the state that the deployment is in, 0 for the others.
# TYPE caddy_llm_router_deployment_state gauge
caddy_llm_router_deployment_state{deployment="east",pool="gpt",state="cooling"} 0
caddy_llm_router_deployment_state{deployment="east",pool="gpt",state="draining"} 0
caddy_llm_router_deployment_state{deployment="east",pool="gpt",state="full"} 0
caddy_llm_router_deployment_state{deployment="east",pool="gpt",state="healthy"} 1
caddy_llm_router_deployment_state{deployment="east",pool="gpt",state="limited"} 0
caddy_llm_router_deployment_state{deployment="east",pool="gpt",state="probing"} 0
caddy_llm_router_deployment_state{deployment="east",pool="gpt",state="unhealthy"} 0
caddy_llm_router_deployment_state{deployment="west",pool="gpt",state="cooling"} 1
caddy_llm_router_deployment_state{deployment="west",pool="gpt",state="draining"} 0
caddy_llm_router_deployment_state{deployment="west",pool="gpt",state="full"} 0
caddy_llm_router_deployment_state{deployment="west",pool="gpt",state="healthy"} 0
caddy_llm_router_deployment_state{deployment="west",pool="gpt",state="limited"} 0
caddy_llm_router_deployment_state{deployment="west",pool="gpt",state="probing"} 0
caddy_llm_router_deployment_state{deployment="west",pool="gpt",state="unhealthy"} 0
# HELP caddy_llm_router_in_flight Requests that the deployment is carrying.
# TYPE caddy_llm_router_in_flight gauge
caddy_llm_router_in_flight{deployment="east",pool="gpt"} 7
caddy_llm_router_in_flight{deployment="west",pool="gpt"} 0
# HELP caddy_llm_router_queue_depth Requests that wait for a deployment of the pool.
# TYPE caddy_llm_router_queue_depth gauge
caddy_llm_router_queue_depth{pool="empty"} 0
caddy_llm_router_queue_depth{pool="gpt"} 3
# HELP caddy_llm_router_redis_up Whether Redis answers; not there when no Redis is configured.
# TYPE caddy_llm_router_redis_up gauge
caddy_llm_router_redis_up 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	t.Run("anew for every page", func(t *testing.T) {
		now = status.Status{Redis: &status.Redis{}}
		compare(t, page(t, registry), map[string]float64{"redis_up{}": 0})
	})
	t.Run("without Redis", func(t *testing.T) {
		now = status.Status{}
		compare(t, page(t, registry), map[string]float64{})
	})
}

// A registry refuses a page on which a series stands twice.
func TestOneNameInSeveralHandlers(t *testing.T) {
	deployment := func(shared any, inFlight int64, state status.State) []status.Deployment {
		return []status.Deployment{{ID: "east", State: state, InFlight: inFlight, Shared: shared}}
	}
	tests := []struct {
		name     string
		pools    []status.Pool
		inFlight float64
		depth    float64
		states   []status.State
	}{
		{
			"shared state is counted once",
			[]status.Pool{
				{Name: "gpt", QueueDepth: 2, Queue: "q", Deployments: deployment("s", 5, status.Full)},
				{Name: "gpt", QueueDepth: 2, Queue: "q", Deployments: deployment("s", 5, status.Full)},
			},
			5, 2, []status.State{status.Full},
		},
		{
			"separate state is added up",
			[]status.Pool{
				{Name: "gpt", QueueDepth: 2, Queue: "q", Deployments: deployment("s", 5, status.Full)},
				{Name: "gpt", QueueDepth: 1, Deployments: deployment(nil, 3, status.Cooling)},
				{Name: "gpt", QueueDepth: 1, Deployments: deployment(nil, 3, status.Cooling)},
			},
			11, 4, []status.State{status.Full, status.Cooling},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			registry := prometheus.NewPedanticRegistry()
			registry.MustRegister(NewLive(func() status.Status { return status.Status{Pools: tt.pools} }))
			want := map[string]float64{
				"in_flight{deployment=east,pool=gpt}": tt.inFlight,
				"queue_depth{pool=gpt}":               tt.depth,
			}
			for _, s := range tt.states {
				want["deployment_state{deployment=east,pool=gpt,state="+string(s)+"}"] = 1
			}
			compare(t, moved(t, registry), want)
		})
	}
}
