package fleet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

func TestCluster(t *testing.T) {
	nodes, first, second := redistest.StartCluster(t, 3), scripted.New(t), scripted.New(t)
	var urls, pools strings.Builder
	for _, node := range nodes {
		urls.WriteString(node.URL() + " ")
	}
	const some = 6 // on several of the nodes
	for n := range some {
		pools.WriteString(limited(fmt.Sprint("limited", n), second, 20))
		pools.WriteString(twoInOrder(fmt.Sprint("p", n), first, second, ""))
	}
	f := start(t, strictly(urls.String()), pools.String())
	f.connected(t, nodes...)
	for n := range some {
		f.burst(t, fmt.Sprint("limited", n), 60, 20)
		f.spreads(t, n%len(f), fmt.Sprint("p", n), first)
	}
	f.saidNoMore(t, 0, 0)
}

func TestSentinelFailsOver(t *testing.T) {
	sentinel, first, second := redistest.StartSentinel(t), scripted.New(t), scripted.New(t)
	f := start(t, "redis "+sentinel.URL()+" {\n sentinel "+sentinel.Name+"\n strict\n}",
		limited("busy", second, 1_000_000)+twoInOrder("p", first, second, ""))
	f.connected(t, sentinel.Master)
	l := f.load("busy", 150)
	sentinel.Master.Kill()
	f.said(t, "warn", 1)
	l.goesOn(t)
	f.said(t, "info", 1)
	l.goesOn(t)
	f.connected(t, sentinel.Replica)
	f.spreads(t, 0, "p", first)
	l.wantUnharmed(t)
}
