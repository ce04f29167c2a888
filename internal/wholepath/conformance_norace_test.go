//go:build !race

package wholepath

const raced = false

// abortPorts are the ports to compare exchanges on that are aborted.
func abortPorts() []string { return bothPorts() }
