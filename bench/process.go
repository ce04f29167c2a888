package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/freeport"
)

// process is a proxy under test, a Caddy of its own.
type process struct {
	addr string
	// keeps tells that it may answer without asking an upstream.
	keeps bool
	cmd   *exec.Cmd
	log   bytes.Buffer // of a child that has ended, until then not to be read
}

// startProxy starts a Caddy with a Caddyfile on one core, and waits until an answer
// of an upstream comes through. It ends with the context, or by stop.
func startProxy(ctx context.Context, binary, caddyfile, core, dir string, upstreams []*upstream) (*process, error) {
	addr, err := freeport.Addr()
	if err != nil {
		return nil, err
	}
	args := []string{binary, "run", "--config", "-", "--adapter", "caddyfile"}
	if core != "" {
		args = append([]string{"taskset", "-c", core}, args...)
	}
	p := &process{addr: addr, cmd: exec.CommandContext(ctx, args[0], args[1:]...)} //nolint:gosec // what to run is what the flags say
	p.cmd.Stdin = strings.NewReader(caddyfile)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.Env = append(os.Environ(), "BENCH_ADDR="+addr, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	for i, u := range upstreams {
		p.cmd.Env = append(p.cmd.Env, fmt.Sprintf("BENCH_UPSTREAM_%d=%s", i+1, u.addr))
	}
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for range 300 {
		if err = tryProxy(ctx, addr); err == nil {
			return p, nil
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			break
		}
	}
	p.stop()
	return nil, fmt.Errorf("%s gave no answer: %w\n%s", binary, err, p.log.Bytes())
}

// stop ends the process and waits for it.
func (p *process) stop() {
	p.cmd.Process.Kill() //nolint:errcheck // it may have ended
	p.cmd.Wait()         //nolint:errcheck // it was killed
}

func tryProxy(ctx context.Context, addr string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/chat/completions", strings.NewReader(chat(0, false, false)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && string(body) != answer {
		err = fmt.Errorf("got %s: %.200s", res.Status, body)
	}
	return err
}

// cpu is the time that the process has run, all its threads together.
func (p *process) cpu() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil || len(files) == 0 {
		return 0, errors.Join(errors.New("no /proc to read the time of a process from"), err)
	}
	var sum time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		ran, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// rss is the memory that the process has in use, in bytes; 0 without one.
func (p *process) rss() (int, error) {
	if p == nil {
		return 0, nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "\nVmRSS:")
	line, _, _ := strings.Cut(rest, "kB")
	kib, err := strconv.Atoi(strings.TrimSpace(line))
	return kib << 10, err
}
