package cli

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile" // the caddyfile adapter
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	primaryModel = "llama-fp8"
	backupModel  = "llama3"
)

// demoConfig is the whole config of the demonstration. The global options keep
// it from leaving anything behind on the machine: no admin API, no files.
const demoConfig = `{
	admin off
	persist_config off
	auto_https off
	storage_check off
	storage_clean_interval off
	grace_period 1s
	log {
		level ERROR
	}
}
http://:{port} {
	bind {host}
	llm_router {
		pool ` + primaryModel + ` {
			deployment primary http://{primary}/v1
			retries 0
			timeout 30s
			cooldown {cooldown} {
				allowed_fails 1
			}
			fallback ` + backupModel + `
		}
		pool ` + backupModel + ` {
			deployment backup http://{backup}/v1
		}
	}
}
`

// startRouter runs the router of the demonstration in this process, as the
// process's one Caddy, and tells where it listens. Stop it with caddy.Stop.
func startRouter(listen, primary, backup string, cooldown time.Duration) (address string, err error) {
	host, port, err := loopback(listen)
	if err != nil {
		return "", err
	}
	config := strings.NewReplacer(
		"{host}", host, "{port}", port, "{primary}", primary, "{backup}", backup, "{cooldown}", cooldown.String(),
	).Replace(demoConfig)
	adapter := caddyconfig.GetAdapter("caddyfile")
	if adapter == nil {
		return "", errors.New("this Caddy has no Caddyfile adapter")
	}
	raw, _, err := adapter.Adapt(caddyfile.Format([]byte(config)), nil)
	if err != nil {
		return "", err
	}
	if err := caddy.Load(raw, true); err != nil {
		return "", err
	}
	if address, err = listeningOn(); err != nil {
		return "", errors.Join(err, caddy.Stop())
	}
	return address, nil
}

// loopback takes a listen address apart, and refuses one that others on the
// network could reach: a demonstration asks nobody for a key.
func loopback(listen string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(listen)
	if err != nil {
		return "", "", fmt.Errorf("--listen: %q is not a host and a port", listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("--listen: %q is not a port", port)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", "", fmt.Errorf("--listen: %q is not an address of the loopback interface", host)
	}
	return host, port, nil
}

// listeningOn asks the running Caddy where its HTTP server listens, since the
// config may leave the port to the system.
func listeningOn() (string, error) {
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		return "", err
	}
	if servers, ok := app.(*caddyhttp.App); ok {
		for _, server := range servers.Servers {
			for _, ln := range server.Listeners() {
				return ln.Addr().String(), nil
			}
		}
	}
	return "", errors.New("the router does not listen anywhere")
}
