package scripted

import (
	"net"
	"sync/atomic"
)

// Forgetful listens for a server whose connections die unnoticed, as those that a NAT or
// a load balancer forgets: they stay open, and nothing comes through any more.
type Forgetful struct {
	net.Listener
	made      atomic.Int64
	forgotten atomic.Int64 // how many of those that were made first
}

// Forget lets all connections die that there are. Later ones live.
func (f *Forgetful) Forget() { f.forgotten.Store(f.made.Load()) }

// Accept implements net.Listener.
func (f *Forgetful) Accept() (net.Conn, error) {
	conn, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &forgettable{conn, f, f.made.Add(1)}, nil
}

type forgettable struct {
	net.Conn
	of     *Forgetful
	number int64
}

func (c *forgettable) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || c.number > c.of.forgotten.Load() {
			return n, err
		}
	}
}
