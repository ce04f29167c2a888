package fleet

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// What an instance shares outlives its config, and one that does not load harms
// nothing.
func TestReloadsGoOnSharing(t *testing.T) {
	server, first, second := redistest.Start(t), scripted.New(t), scripted.New(t)
	global := strictly(server.URL())
	pools := limited("few", second, 5) + twoInOrder("p", first, second, "") + twoInOrder("q", first, second, "")
	f := start(t, global, pools)
	f.connected(t, server)
	ask := func(i *instance, want int) {
		t.Helper()
		g := i.ask("few")
		for range 4 { // a connection that comes right after a reload may be closed by the server before it
			if g.err == nil {
				break
			}
			i.client.CloseIdleConnections()
			g = i.ask("few")
		}
		if g.status != want {
			t.Errorf("got %+v of instance %s, want %d", g, i.name, want)
		}
	}
	for _, i := range f {
		ask(i, 200)
	}
	clients := server.Do(t, "CLIENT", "LIST", "TYPE", "pubsub")
	if err := f[0].reload(global, "deadline 1m\n"+pools); err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string]string{
		"a pool that does not exist": "default_fallback nowhere\n" + pools,
		"a key that is not set":      pools + "pool r {\n deployment d " + first.URL + " {\n api_key {env.LLM_ROUTER_TEST_UNSET}\n }\n}\n",
	} {
		if err := f[0].reload(global, broken); err == nil {
			t.Errorf("%s: got a config that loads", name)
		}
	}
	if now := server.Do(t, "CLIENT", "LIST", "TYPE", "pubsub"); ids(now) != ids(clients) {
		t.Errorf("got the connections %s, want those of before, %s", ids(now), ids(clients))
	}
	f.spreads(t, 1, "p", first)
	f.spreads(t, 0, "q", first)
	ask(f[0], 200)
	ask(f[1], 200)
	ask(f[0], 429)
	if err := f[0].reload(global, "deadline 1m\n"+limited("few", second, 6)); err != nil {
		t.Fatal(err)
	}
	ask(f[0], 200)
	ask(f[0], 429)
	f.saidNoMore(t, 0, 0)
}

// ids are those of clients in a list of Redis's.
func ids(list string) string {
	all := regexp.MustCompile(`(?m)^id=\d+`).FindAllString(list, -1)
	slices.Sort(all)
	return strings.Join(all, " ")
}
