package wholepath

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// A deployment that nobody asks for costs the others nothing: Caddy's reverse
// proxy would keep a goroutine for each, whose stack every garbage collection
// looks at.
func TestIdlePoolsHaveNoGoroutines(t *testing.T) {
	up := scripted.New(t).Always(scripted.OK("Hello."))
	pools := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "pool p%d {\n\tdeployment a %s\n}\n", i, up.URL)
		}
		return b.String()
	}
	config := func(n int) string { return ":8080 {\n\tllm_router {\n" + pools(n) + "\n\t}\n}\n" }
	s := routerWith(t, pools(1))
	before := runtime.NumGoroutine()
	s.Reload(t, config(200))
	if after := runtime.NumGoroutine(); after > before+20 {
		t.Errorf("200 pools need %d goroutines, where one needs %d", after, before)
	}
	eventually(t, "an answer, of the new config", 5*time.Second, func() bool {
		g, err := tryAsk(t.Context(), s, chatPath, strings.Replace(plain, `"p"`, `"p199"`, 1))
		return err == nil && g.status == 200
	})
}

// Many deployments share connections where they are at the same address, and nowhere
// else, however alike they are.
func TestManyDeploymentsAreEachAtTheirOwnAddress(t *testing.T) {
	const many = 70
	for name, options := range map[string][]scripted.Option{"hosts": nil, "sockets": {scripted.WithUnixSocket()}} {
		t.Run(name, func(t *testing.T) {
			var pools strings.Builder
			for i := range many {
				u := scripted.New(t, options...).Always(scripted.OK(fmt.Sprintf("by number %d.", i)))
				address := u.URL
				if options != nil {
					address = u.Addr
				}
				fmt.Fprintf(&pools, "pool p%d {\n\tdeployment d%[1]d %s\n}\n", i, address)
			}
			s := routerWith(t, pools.String())
			for i := range many {
				g := ask(t, s, chatPath, strings.Replace(plain, `"p"`, fmt.Sprintf(`"p%d"`, i), 1))
				g.served(t, fmt.Sprintf("by number %d.", i), fmt.Sprintf("d%d", i), 1, 0)
			}
		})
	}
}
