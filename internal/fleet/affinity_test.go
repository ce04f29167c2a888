package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// stays waits until an instance has a session on a deployment, and checks that it
// stays there, whoever's turn it is.
func (i *instance) stays(t testing.TB, model, want string) {
	t.Helper()
	var g got
	defer func() {
		if t.Failed() {
			t.Logf("instance %s: got %+v, want an answer of %s", i.name, g, want)
		}
	}()
	redistest.WaitFor(t, "the session at instance "+i.name, func() bool {
		g = i.ask(model)
		return g.deployment == want
	})
	for range 4 {
		if g = i.ask(model); g.deployment != want {
			t.Errorf("instance %s: got %+v, want an answer of %s", i.name, g, want)
		}
	}
}

// A session is on one deployment at all instances, moves at all of them, and is not
// moved by one that starts.
func TestSessionsAreOnOneDeploymentEverywhere(t *testing.T) {
	server, first, second := redistest.Start(t), scripted.New(t), scripted.New(t)
	pools := fmt.Sprintf("strategy round_robin\naffinity auto\npool p {\n deployment first %s\n deployment second %s\n}\n", first.URL, second.URL)
	f := start(t, "redis "+server.URL(), pools)
	f.connected(t, server)
	home := f[0].ask("p").deployment
	for _, i := range f {
		i.stays(t, "p", home)
	}
	f[2].stop(t)
	if err := f[2].launch("redis "+server.URL(), pools); err != nil {
		t.Fatal(err)
	}
	for _, i := range []*instance{f[2], f[0], f[1]} {
		i.stays(t, "p", home)
	}
	upstreams, others := map[string]*scripted.Upstream{"first": first, "second": second}, map[string]string{"first": "second", "second": "first"}
	upstreams[home].Then(slowDown(5 * time.Minute))
	if g := f[1].ask("p"); g.err != nil || g.deployment != others[home] {
		t.Fatalf("got %+v, want an answer of %s after the refusal of %s", g, others[home], home)
	}
	for _, i := range f {
		i.stays(t, "p", others[home])
	}
	f.saidNoMore(t, 0, 0)
}
