package fleet

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

// instance is one Caddy of a fleet, a process of its own.
type instance struct {
	name   string
	dir    string // short, because paths of unix sockets are
	cmd    *exec.Cmd
	stdin  io.Closer
	client *http.Client
	admin  *http.Client

	mu  sync.Mutex // protects log
	log []line
}

// line is a line of an instance's log.
type line struct{ Level, Logger, Msg, raw string }

// startTimeout is how long an instance may take to serve. Only a hang takes it.
const startTimeout = time.Minute

// newInstance makes an instance that ends with the test.
func newInstance(t testing.TB, name string) *instance {
	t.Helper()
	dir, err := os.MkdirTemp("", "fl")
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{name: name, dir: dir}
	i.client, i.admin = dialing(i.path("http.sock")), dialing(i.path("admin.sock"))
	t.Cleanup(func() {
		i.stop(t)
		os.RemoveAll(dir)
	})
	return i
}

// launch starts the process and waits until it serves.
func (i *instance) launch(global, pools string) error {
	config, err := i.config(global, pools)
	if err != nil {
		return err
	}
	if err := os.WriteFile(i.path("config.json"), config, 0o600); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), configVariable+"="+i.path("config.json"), "XDG_DATA_HOME="+i.dir, "XDG_CONFIG_HOME="+i.dir)
	stdout, err1 := cmd.StdoutPipe()
	stderr, err2 := cmd.StderrPipe()
	stdin, err3 := cmd.StdinPipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	i.cmd, i.stdin = cmd, stdin
	go i.readLog(stderr) // until the process ends
	serves := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if strings.TrimSpace(line) == ready {
			err = nil
		}
		serves <- err
	}()
	select {
	case err := <-serves:
		return err
	case <-time.After(startTimeout):
		return errors.New("it does not serve")
	}
}

func (i *instance) path(name string) string { return filepath.Join(i.dir, name) }

// config makes Caddy's JSON of the option's block and of pools, in which NAME
// stands for the instance's name.
func (i *instance) config(global, pools string) ([]byte, error) {
	return caddyharness.Adapt(strings.ReplaceAll(fmt.Sprintf(`
{
	admin unix/%s
	persist_config off
	log {
		output stderr
		format json
	}
	llm_router {
		%s
	}
}
http:// {
	bind unix/%s
	llm_router {
		%s
	}
}
`, i.path("admin.sock"), global, i.path("http.sock"), pools), "NAME", i.name))
}

// reload loads another config into the instance.
func (i *instance) reload(global, pools string) error {
	config, err := i.config(global, pools)
	if err != nil {
		return err
	}
	res, err := i.admin.Post("http://localhost/load", "application/json", bytes.NewReader(config))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", res.StatusCode, text)
	}
	return nil
}

// kill ends the process as a machine does that goes away.
func (i *instance) kill() {
	_ = i.cmd.Process.Kill()
	_ = i.cmd.Wait()
}

// stop ends the process as its supervisor does.
func (i *instance) stop(t testing.TB) {
	if i.cmd == nil || i.cmd.ProcessState != nil {
		return
	}
	i.client.CloseIdleConnections()
	i.admin.CloseIdleConnections()
	i.stdin.Close()
	done := make(chan error, 1)
	go func() { done <- i.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("instance %s: %v; its log:\n%s", i.name, err, i.wholeLog())
		}
	case <-time.After(startTimeout):
		_ = i.cmd.Process.Kill()
		t.Errorf("instance %s does not end; its log:\n%s", i.name, i.wholeLog())
	}
}

func (i *instance) readLog(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		l := line{raw: lines.Text()}
		_ = json.Unmarshal(lines.Bytes(), &l) // what is no JSON is kept as it is
		i.mu.Lock()
		i.log = append(i.log, l)
		i.mu.Unlock()
	}
}

// said counts the lines of a level that the app has logged, which are those about
// the shared state.
func (i *instance) said(level string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for _, l := range i.log {
		if l.Logger == "llm_router" && l.Level == level {
			n++
		}
	}
	return n
}

func (i *instance) wholeLog() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all strings.Builder
	for _, l := range i.log {
		all.WriteString(l.raw + "\n")
	}
	return all.String()
}

// got is what became of a request.
type got struct {
	status     int
	deployment string
	retryAfter string
	took       time.Duration
	err        error
}

// ask sends a chat request to the instance.
func (i *instance) ask(model string) got {
	begin := time.Now()
	body := `{"model":"` + model + `","messages":[{"role":"user","content":"Hello"}]}`
	res, err := i.client.Post("http://localhost/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		return got{err: err, took: time.Since(begin)}
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return got{res.StatusCode, res.Header.Get("X-LLM-Deployment"), res.Header.Get("Retry-After"), time.Since(begin), err}
}

// dialing is a client whose connections all lead to a unix socket.
func dialing(path string) *http.Client {
	return &http.Client{
		Timeout: startTimeout,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 256,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			},
		},
	}
}
