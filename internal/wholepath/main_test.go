// Package wholepath tests the router as its users meet it: on a real Caddy,
// with real connections, against scripted model servers, and by what its documents
// say.
package wholepath

import (
	"fmt"
	"os"
	"testing"
)

// TestMain runs the tests in the repository's root, where the documents are. A worker
// that fuzzes begins there already.
func TestMain(m *testing.M) {
	if _, err := os.Stat("go.mod"); err != nil {
		if err := os.Chdir("../.."); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
