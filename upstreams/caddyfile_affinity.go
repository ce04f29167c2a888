package upstreams

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

func (a *Affinity) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	token := d.Token()
	a.By = d.RemainingArgs()
	switch {
	case len(a.By) == 0:
		return d.Errf("affinity: %s, or off", expectedNames)
	case len(a.By) == 1 && a.By[0] == "off":
		a.By, a.Off = nil, true
		return nil
	}
	for _, by := range a.By {
		if len(namers(by)) == 0 {
			return At(token).Errf("affinity: '%s' names no session; %s", by, expectedNames)
		}
	}
	_, err := block(d, func() error { return a.unmarshalSubdirective(d) })
	return err
}

func (a *Affinity) unmarshalSubdirective(d *caddyfile.Dispenser) error {
	switch name := d.Val(); name {
	case "ttl":
		return duration(d, &a.TTL)
	case "size":
		var n int64
		if err := count(d, &n); err != nil {
			return err
		}
		if n == 0 || n > maxSessions {
			return d.Errf("size: expected a number of sessions from 1 to %d, got '%d'", maxSessions, n)
		}
		a.Size = int(n)
		return nil
	default:
		return d.Errf("affinity: unknown subdirective '%s'; expected ttl or size", name)
	}
}
