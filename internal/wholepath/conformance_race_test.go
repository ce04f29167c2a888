//go:build race

package wholepath

// raced tells that the race detector is on, which makes everything slow.
const raced = true

// abortPorts leaves reverse_proxy out under the race detector: when an exchange
// is aborted, Caddy v2.11.9 logs the length of a request body that the
// transport may still be reading.
func abortPorts() []string { return []string{routerPort} }
