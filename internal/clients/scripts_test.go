package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Clients in other languages than Go are tried by scripts. A script is told
// where the router is, and prints a line of JSON for each case.

// scriptTimeout is how long a script may take. Only a hang takes it.
const scriptTimeout = 3 * time.Minute

// verdict is a line of a script.
type verdict struct {
	Case string `json:"case"`
	// Error is what did not hold; empty where all did.
	Error string `json:"error"`
}

// languages are what scripts need: a program, and packages that .ci/run installs.
var languages = map[string]struct{ program, packages, install string }{
	".mjs": {"node", "node_modules", "npm ci"},
	".py":  {".venv/bin/python3", ".venv", "python3 -m venv .venv && .venv/bin/pip install --require-hashes -r requirements.txt"},
}

// runScript tries what a script tries. Without its language or its packages the
// test is skipped; in CI, where they must be, it fails.
func runScript(t *testing.T, r *router, path string) cases {
	t.Helper()
	dir, name := filepath.Split(path)
	lang := languages[filepath.Ext(name)]
	program := lang.program
	if strings.Contains(program, "/") {
		program = "./" + program // a relative one is looked for in the script's folder
	} else if _, err := exec.LookPath(program); err != nil {
		missing(t, "%s is not installed", program)
	}
	// go test keeps a result until something changes that the test has looked at: the
	// files that a script consists of, too.
	if _, err := os.ReadDir(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, lang.packages)); err != nil {
		missing(t, "its packages are not installed: cd internal/clients/%s && %s", dir, lang.install)
	}
	ctx, cancel := context.WithTimeout(t.Context(), scriptTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, name) //nolint:gosec // a script of ours
	cmd.Dir = dir
	// Nothing of the surroundings: a proxy or a key there would be the client's.
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PYTHONDONTWRITEBYTECODE=1",
		"ROUTER=http://" + r.Addr(), "TURNS=" + strconv.Itoa(turns),
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	if err != nil {
		t.Errorf("%s failed: %v\n%s", path, err, stderr.Bytes())
	}
	return verdicts(t, out)
}

func verdicts(t *testing.T, out []byte) cases {
	t.Helper()
	all := make(cases)
	for line := range bytes.Lines(out) {
		var v verdict
		if err := json.Unmarshal(line, &v); err != nil || v.Case == "" {
			t.Logf("it printed: %s", line)
			continue
		}
		all[v.Case] = func(t *testing.T) {
			t.Helper()
			if v.Error != "" {
				t.Error(v.Error)
			}
		}
	}
	return all
}

func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
