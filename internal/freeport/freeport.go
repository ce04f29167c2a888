// Package freeport finds ports for servers that tests start: those that have to be
// told their address before they listen on it.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The ports given are below those that Linux gives to outgoing connections
// (ip_local_port_range), or one of them might have it before the server does.
const (
	first = 10000
	count = 20000
)

// given holds what this process was told, which it does not hear again: it may ask
// for several before it listens on any of them.
var given sync.Map

// Port is a port of 127.0.0.1 that nobody listens on, another one at each call.
func Port() (int, error) {
	for range count {
		port := first + rand.IntN(count)
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		ln, err := net.Listen("tcp", address(port))
		if err == nil {
			return port, ln.Close()
		}
	}
	return 0, errors.New("there is no free port")
}

// Addr is such a port with its host.
func Addr() (string, error) {
	port, err := Port()
	return address(port), err
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
