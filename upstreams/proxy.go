package upstreams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// provisionProxy sets up the deployment's reverse proxy: its transport, header
// operations, upstreams and active health checks.
func (d *Deployment) provisionProxy(ctx caddy.Context, pool string, transports *Transports) error {
	proxy := d.ReverseProxy
	if proxy == nil {
		proxy = new(reverseproxy.Handler)
	}
	if err := refuseConflicts(proxy); err != nil {
		return err
	}
	if err := d.address(proxy); err != nil {
		return err
	}
	if err := d.loadTransport(ctx, proxy, transports); err != nil {
		return err
	}
	d.transport = proxy.Transport
	proxy.Transport = upgradeTransport{proxyTransport{proxy.Transport}, d}
	if err := d.collectHeaderOps(ctx, proxy); err != nil {
		return err
	}
	if err := d.prepareHealthChecks(proxy, pool); err != nil {
		return err
	}
	d.proxy = proxy // from here on there is something to clean up
	if d.static != nil && d.verdict == nil {
		restUntilUpgrade(proxy, &ctx)
	}
	if err := proxy.Provision(ctx); err != nil {
		return err
	}
	switch proxy.DynamicUpstreams.(type) {
	case *reverseproxy.AUpstreams, *reverseproxy.SRVUpstreams, *reverseproxy.MultiUpstreams:
		d.lookups = make(chan struct{}, 1)
	}
	return nil
}

// restUntilUpgrade spares a proxy that only upgrades will use the work that Caddy gives
// every proxy: a goroutine that keeps a gauge of its upstreams' health, which
// nothing checks here, and a place among the hosts that are known by address.
// Thousands of them would cost every request a part of the garbage collection.
func restUntilUpgrade(proxy *reverseproxy.Handler, ctx *caddy.Context) {
	proxy.DynamicUpstreams, proxy.Upstreams = fixedUpstream{proxy.Upstreams[0].Dial}, nil
	ended, end := context.WithCancel(ctx.Context)
	end()
	ctx.Context = ended
}

// fixedUpstream is a source of one upstream that never changes.
type fixedUpstream struct{ dial string }

// GetUpstreams implements reverseproxy.UpstreamSource.
func (f fixedUpstream) GetUpstreams(*http.Request) ([]*reverseproxy.Upstream, error) {
	return []*reverseproxy.Upstream{{Dial: f.dial}}, nil
}

// collectHeaderOps lists the operations on headers: of requests the transport's,
// then the user's, which the proxy provisions, and of answers the user's.
func (d *Deployment) collectHeaderOps(ctx caddy.Context, proxy *reverseproxy.Handler) error {
	if own, ok := d.transport.(reverseproxy.RequestHeaderOpsTransport); ok {
		if _, plain := d.transport.(*reverseproxy.HTTPTransport); !plain { // that one sets Host, which we do
			if ops := own.RequestHeaderOps(); ops != nil {
				if err := ops.Provision(ctx); err != nil {
					return fmt.Errorf("transport header operations: %w", err)
				}
				d.ops = append(d.ops, ops)
			}
		}
	}
	if proxy.Headers == nil {
		return nil
	}
	d.down = proxy.Headers.Response
	if proxy.Headers.Request != nil {
		d.ops = append(d.ops, proxy.Headers.Request)
		own, fixed := setsCredentials(proxy.Headers.Request)
		d.ownKey, d.keyIsFixed = d.ownKey || own, fixed && (d.keyIsFixed || own)
	}
	return nil
}

// refuseConflicts refuses what would fight the router for the request.
func refuseConflicts(p *reverseproxy.Handler) error {
	switch {
	case p.LoadBalancing != nil && p.DynamicUpstreamsRaw == nil:
		return errors.New("reverse_proxy.load_balancing: the pool chooses the deployment; write weight, order and retries")
	case p.LoadBalancing != nil && (p.LoadBalancing.Retries != 0 || p.LoadBalancing.TryDuration != 0 ||
		p.LoadBalancing.TryInterval != 0 || len(p.LoadBalancing.RetryMatchRaw) != 0):
		return errors.New("reverse_proxy.load_balancing: only selection_policy may be set; write retries in the pool")
	case len(p.Upstreams) != 0:
		return errors.New("reverse_proxy.upstreams: write base_url, or one deployment for each address")
	case len(p.HandleResponse) != 0:
		return errors.New("reverse_proxy.handle_response: the router judges responses itself")
	case p.Rewrite != nil:
		return errors.New("reverse_proxy.rewrite: write a path prefix in base_url, or a rewrite directive before llm_router")
	case p.RequestBuffers != 0, p.ResponseBuffers != 0:
		return errors.New("reverse_proxy: request_buffers and response_buffers: the router buffers requests once; write max_body")
	case p.FlushInterval != 0:
		return errors.New("reverse_proxy.flush_interval: the router flushes event by event")
	case len(p.TrustedProxies) != 0:
		return errors.New("reverse_proxy.trusted_proxies: X-Forwarded-* is only sent by header_up; set trusted_proxies in the server options")
	case p.HealthChecks != nil && p.HealthChecks.Passive != nil:
		return errors.New("reverse_proxy.health_checks.passive: Caddy counts those by address; write cooldown and max_parallel")
	case p.CBRaw != nil:
		return errors.New("reverse_proxy.circuit_breaker: write cooldown")
	}
	return nil
}

// address gives the proxy its upstream.
func (d *Deployment) address(proxy *reverseproxy.Handler) error {
	switch {
	case proxy.DynamicUpstreamsRaw != nil:
		return nil
	case d.base.dial != "":
	case proxy.TransportRaw != nil && transportName(proxy.TransportRaw) != "http":
		// Such a transport needs no address, but a proxy does.
		d.base.dial = "localhost:80"
	default:
		return errors.New("no base_url; expected an address such as http://gpu-1:8000/v1")
	}
	network, err := caddy.ParseNetworkAddress(d.base.dial)
	if err != nil {
		return fmt.Errorf("base_url: %w", err)
	}
	upstream := &reverseproxy.Upstream{Dial: d.base.dial}
	proxy.Upstreams = reverseproxy.UpstreamPool{upstream}
	d.static = &reverseproxy.DialInfo{
		Upstream: upstream,
		Network:  network.Network,
		Address:  network.JoinHostPort(0),
		Host:     network.Host,
		Port:     strconv.Itoa(int(network.StartPort)),
	}
	d.staticValue = *d.static
	return nil
}

// loadTransport loads the transport before the proxy does, with TLS or h2c as
// the address's scheme asks for.
func (d *Deployment) loadTransport(ctx caddy.Context, proxy *reverseproxy.Handler, transports *Transports) error {
	raw := proxy.TransportRaw
	if raw == nil {
		raw = json.RawMessage(`{"protocol":"http"}`)
	}
	switch transportName(raw) {
	case "fastcgi":
		return errors.New("transport fastcgi does not speak to model servers")
	case "http":
		config := make(map[string]json.RawMessage)
		if err := json.Unmarshal(raw, &config); err != nil {
			return fmt.Errorf("transport: %w", err)
		}
		if _, ok := config["tls"]; !ok && d.base.scheme == "https" {
			config["tls"] = json.RawMessage(`{}`)
		}
		if _, ok := config["versions"]; !ok && d.base.h2c {
			config["versions"] = json.RawMessage(`["h2c"]`)
		}
		raw, _ = json.Marshal(config) // raw messages that were just parsed
	}
	d.described = describesUpstream(raw)
	address := d.base.dial
	if proxy.DynamicUpstreamsRaw != nil {
		address = ""
	}
	transport, err := transports.load(ctx, raw, address)
	if err != nil {
		return err
	}
	proxy.TransportRaw = nil
	proxy.Transport = transport
	if tls, ok := transport.(reverseproxy.TLSTransport); ok && tls.TLSEnabled() {
		d.base.scheme = "https"
	}
	return nil
}

func transportName(raw json.RawMessage) string {
	var transport struct {
		Protocol string `json:"protocol"`
	}
	_ = json.Unmarshal(raw, &transport) // what does not parse is refused when it is loaded
	return transport.Protocol
}

// setsCredentials tells whether the operations put a key into requests, and whether
// that is the same for all clients.
func setsCredentials(ops *headers.HeaderOps) (set, fixed bool) {
	fixed = true
	for name := range ops.Replace { // of which nobody knows what comes
		fixed = fixed && !credentials[http.CanonicalHeaderKey(name)] && name != "*"
	}
	for _, header := range []http.Header{ops.Set, ops.Add} {
		for name, values := range header {
			if !credentials[http.CanonicalHeaderKey(name)] {
				continue
			}
			set = true
			for _, value := range values {
				// A placeholder may stand for anything of the request, but not these.
				fixed = fixed && strings.Count(value, "{") == strings.Count(value, "{env.")+strings.Count(value, "{file.")
			}
		}
	}
	return set, fixed
}
