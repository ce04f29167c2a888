package status

import (
	"encoding/json"
	"testing"
)

// Programs read these names: the test holds them, and that nothing else shows.
func TestNamesInJSON(t *testing.T) {
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"nothing known", Deployment{ID: "a", State: Healthy}, `{"id":"a","order":0,"weight":0,"state":"healthy","reason":"",` +
			`"cooldown_remaining_ms":0,"in_flight":0,"requests":0,"failures":0,"ttft_ms":0,"input_tokens":0,"output_tokens":0}`},
		{
			"everything known",
			Deployment{
				ID: "a", Order: 2, Weight: 0.5, State: Cooling, Reason: "rate_limit", CooldownRemainingMS: 1500, InFlight: 1,
				MaxParallel: 8, Requests: 9, Failures: 3, TTFTMS: 12.5, RPM: &Limit{Limit: 10}, TPM: &Limit{Used: 7, Limit: 100},
				InputTokens: 5, OutputTokens: 6, Cost: new(0.0), Shared: 1,
			},
			`{"id":"a","order":2,"weight":0.5,"state":"cooling","reason":"rate_limit","cooldown_remaining_ms":1500,"in_flight":1,` +
				`"max_parallel":8,"requests":9,"failures":3,"ttft_ms":12.5,"rpm":{"used":0,"limit":10},"tpm":{"used":7,"limit":100},` +
				`"input_tokens":5,"output_tokens":6,"cost":0}`,
		},
		{
			"pool", Pool{Name: "p", Strategy: "weighted", QueueDepth: 2, Deployments: []Deployment{}, Queue: 1},
			`{"name":"p","strategy":"weighted","queue_depth":2,"deployments":[]}`,
		},
		{"shared state", Status{Pools: []Pool{}, Redis: &Redis{}}, `{"pools":[],"redis":{"up":false}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(tt.in)
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}
