package cli

import "testing"

// by makes the result of a request that one deployment served.
func by(pool, deployment string, attempts, fallbacks int) result {
	return result{Status: 200, Model: pool, Pool: pool, Deployment: deployment, Attempts: &attempts, Fallbacks: &fallbacks}
}

func failed(message string) result { return result{Status: 503, Pool: "p", Err: message} }

func model(name string) result { return result{Status: 200, Model: name} }

func TestHistory(t *testing.T) {
	a, b := by("p", "a", 1, 0), by("p", "b", 1, 0)
	bInstead := by("p", "b", 2, 0)
	other, otherDirectly := by("q", "x", 2, 1), by("q", "x", 1, 1)
	tests := []struct {
		name    string
		results []result
		want    []change
	}{
		{"one deployment all the time", []result{a, a, a}, []change{"", "", ""}},
		{
			"another deployment within the request, and back",
			[]result{a, bInstead, b, a},
			[]change{"", failover, "", recovery},
		},
		{
			"another pool within the request, then at once, and back",
			[]result{a, other, otherDirectly, a, a},
			[]change{"", failover, "", recovery, ""},
		},
		{
			"another pool, which somebody else's request has found first",
			[]result{a, otherDirectly, a},
			[]change{"", failover, recovery},
		},
		{"load that is shared is no failover", []result{a, b, a, b}, []change{"", shift, shift, shift}},
		{
			"back from a failover to one that is not the first",
			[]result{a, other, b, a},
			[]change{"", failover, failover, recovery},
		},
		{
			"a second failover",
			[]result{a, bInstead, a, bInstead, a},
			[]change{"", failover, recovery, failover, recovery},
		},
		{
			"failures in between change nothing",
			[]result{a, failed("x"), a, failed("x"), other, failed("x"), other},
			[]change{"", "", "", "", failover, "", ""},
		},
		{
			"an outage that began before the first request",
			[]result{other, otherDirectly, a, other, a},
			[]change{failover, "", recovery, failover, recovery},
		},
		{
			"a first request that was retried",
			[]result{by("p", "a", 2, 0), a, a},
			[]change{"", "", ""},
		},
		{
			"a first request that failed over in its pool",
			[]result{bInstead, b, bInstead, a, bInstead},
			[]change{"", "", "", shift, failover},
		},
		{
			"a first request that failed over, and back at once",
			[]result{bInstead, a, b, a},
			[]change{"", recovery, shift, shift},
		},
		{
			"one deployment with two names for its model",
			[]result{{Pool: "p", Deployment: "a", Model: "m"}, {Pool: "p", Deployment: "a", Model: "m-2026"}},
			[]change{"", ""},
		},
		{
			"a server without a router's headers, by its models",
			[]result{model("m"), model("m"), model("n"), model("m")},
			[]change{"", "", failover, recovery},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h history
			var last server
			for i := range tt.results {
				got, before := h.observe(&tt.results[i])
				if got != tt.want[i] {
					t.Errorf("request %d: got %q, want %q", i+1, got, tt.want[i])
				}
				if got != noChange && before != last {
					t.Errorf("request %d: got %v as the one before, want %v", i+1, before, last)
				}
				if tt.results[i].ok() {
					last = tt.results[i].server().place()
				}
			}
		})
	}
}

func TestServerName(t *testing.T) {
	tests := []struct {
		server server
		want   string
	}{
		{server{"p", "d", "m"}, "p/d"},
		{server{"p", "", "m"}, "p"},
		{server{"", "d", "m"}, "d"},
		{server{"", "", "m"}, "m"},
		{server{}, "-"},
	}
	for _, tt := range tests {
		if got := tt.server.String(); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.server, got, tt.want)
		}
	}
}
