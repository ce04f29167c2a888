package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const slots = 16384

// StartCluster runs a Cluster of so many masters, which share the slots evenly.
func StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	nodes := make([]*Server, n)
	buses := make([]int, n)
	for i := range nodes {
		buses[i] = FreePort(t)
		nodes[i] = Start(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(buses[i]), "--cluster-node-timeout", "2000")
		nodes[i].Do(t, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		nodes[i].Do(t, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/n), strconv.Itoa((i+1)*slots/n-1))
	}
	for i := 1; i < n; i++ {
		nodes[0].Do(t, "CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(nodes[i].Port), strconv.Itoa(buses[i]))
	}
	for _, node := range nodes {
		WaitFor(t, "the Cluster to agree", func() bool {
			info := node.Do(t, "CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_size:%d\r", n))
		})
	}
	return nodes
}

// Sentinel is a master, its replica, and a Sentinel that watches them.
type Sentinel struct {
	*Server // the Sentinel
	Name    string
	Master  *Server
	Replica *Server
}

// StartSentinel runs a Sentinel over a master and a replica. It fails over about
// a second after the master has gone.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	s := &Sentinel{Name: "main", Master: Start(t)}
	s.Replica = Start(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(s.Master.Port), "--repl-diskless-sync-delay", "0")
	WaitFor(t, "the replica to follow", func() bool {
		return strings.Contains(s.Replica.Do(t, "INFO", "replication"), "master_link_status:up")
	})
	s.Server = newServer(t)
	config := filepath.Join(s.dir, "sentinel.conf") // it writes to it
	text := fmt.Sprintf("sentinel monitor %[1]s 127.0.0.1 %[2]d 1\nsentinel down-after-milliseconds %[1]s 500\nsentinel failover-timeout %[1]s 3000\n", s.Name, s.Master.Port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.launch(t, config, "--sentinel")
	WaitFor(t, "the Sentinel to know the replica", func() bool {
		return strings.Contains(s.Do(t, "INFO", "sentinel"), "slaves=1")
	})
	return s
}
