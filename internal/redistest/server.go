// Package redistest runs real Redis servers for tests: on free ports of
// 127.0.0.1, without a trace on disk, and gone with the test.
package redistest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/freeport"
)

// binary is Debian's package redis-server.
const binary = "redis-server"

// startTimeout is how long a server may take to answer. Only a hang takes it.
const startTimeout = 20 * time.Second

// Server is a redis-server of a test.
type Server struct {
	Port int
	args []string
	dir  string
	cmd  *exec.Cmd
}

// Start runs a server until the test ends, with arguments of redis-server's own.
// Without the program the test is skipped; in CI, where it must be, it fails.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := newServer(t, args...)
	s.Restart(t)
	return s
}

func newServer(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath(binary); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed", binary)
		}
		t.Skipf("%s is not installed", binary)
	}
	s := &Server{Port: FreePort(t), args: args, dir: t.TempDir()}
	t.Cleanup(s.Kill)
	return s
}

// FreePort is a port of 127.0.0.1 that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := freeport.Port()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Addr is the host and port of the server.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// URL is the server's address for a config.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Restart starts the server, empty and on the port that it had, and waits until
// it answers.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.launch(t, append([]string{"--save", "", "--appendonly", "no"}, s.args...)...)
}

func (s *Server) launch(t testing.TB, args ...string) {
	t.Helper()
	s.Kill()
	s.cmd = exec.Command(binary, append(args, "--bind", "127.0.0.1", "--port", strconv.Itoa(s.Port), "--dir", s.dir)...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		defer close(ready)
		var log strings.Builder
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(&log, lines.Text())
			if strings.Contains(lines.Text(), "eady to accept connections") || strings.Contains(lines.Text(), "Sentinel ID is") {
				ready <- ""
				break
			}
		}
		_, _ = io.Copy(io.Discard, out) // or it would block on its log
		ready <- log.String()
	}()
	select {
	case log := <-ready:
		if log != "" {
			t.Fatalf("%s ended:\n%s", binary, log)
		}
	case <-time.After(startTimeout):
		t.Fatalf("%s does not get ready", binary)
	}
}

// Kill ends the server at once, without a word to its clients but for the end of
// their connections.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGCONT)
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Freeze stops the server from doing anything; connections stay, and new ones
// are accepted by the system without ever being answered.
func (s *Server) Freeze(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// Do sends a command of a few words and returns the answer as it came.
func (s *Server) Do(t testing.TB, words ...string) string {
	t.Helper()
	answer, err := s.TryDo(words...)
	if err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	if strings.HasPrefix(answer, "-") {
		t.Fatalf("%v: got %s", words, answer)
	}
	return answer
}

// TryDo is Do for a server that may not answer, or with an error.
func (s *Server) TryDo(words ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(conn, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(word), word)
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil || line[0] != '$' {
		return strings.TrimSpace(line), err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil || n < 0 {
		return "", err
	}
	bulk := make([]byte, n)
	_, err = io.ReadFull(in, bulk)
	return string(bulk), err
}

// WaitFor waits until a condition holds, and fails the test when that takes
// longer than anything but a hang does.
func WaitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(startTimeout)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", startTimeout, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
