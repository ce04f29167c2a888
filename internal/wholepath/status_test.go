package wholepath

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
	"github.com/llmrouter/caddy-llm-router/internal/status"
)

// What the admin API says of pools and deployments.

// statusOf asks for the status. Just after a reload the admin server of the config
// before may still take a connection, only to close it: that is Caddy's.
func statusOf(t testing.TB, s *caddyharness.Server) (now status.Status, raw string) {
	t.Helper()
	client := s.AdminClient(t)
	for tries := 100; ; tries-- {
		resp, err := client.Get("http://localhost/llm_router/status")
		if tries > 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil {
			err = json.Unmarshal(body, &now)
		}
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("got status %d, %s and error %v, want a status of the router", resp.StatusCode, body, err)
		}
		return now, string(body)
	}
}

// deploymentOf is one deployment in the status.
func deploymentOf(t testing.TB, s *caddyharness.Server, pool, id string) status.Deployment {
	t.Helper()
	now, raw := statusOf(t, s)
	for _, p := range now.Pools {
		for _, d := range p.Deployments {
			if p.Name == pool && d.ID == id {
				return d
			}
		}
	}
	t.Fatalf("got %s, want deployment %s of pool %s in it", raw, id, pool)
	return status.Deployment{}
}

// is waits until deployment a of pool p is in a state.
func is(t testing.TB, s *caddyharness.Server, state status.State, reason string) status.Deployment {
	t.Helper()
	var got status.Deployment
	for range 250 {
		if got = deploymentOf(t, s, "p", "a"); got.State == state && got.Reason == reason {
			return got
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("got %s (%s), want %s (%s)", got.State, got.Reason, state, reason)
	return got
}

// one is a pool p of deployment a with a block of its own.
func one(a *scripted.Upstream, policy, block string) string {
	return policy + "\npool p {\n\tdeployment a " + a.URL + " {\n\torder 1\n" + block + "\n}\n}\n"
}

func TestStatusOfDeployments(t *testing.T) {
	slowDown := scripted.Error(429, "rate_limit", "rate_limit_exceeded", "Slow down. Try again in 60s.")
	load := func(t *testing.T, pools string) *caddyharness.Server {
		return routerWith(t, pools, caddyharness.WithAdmin())
	}
	t.Run("healthy, with what it has done", func(t *testing.T) {
		a := scripted.New(t).Then(chatFormat.send(5*time.Millisecond, withUsage(chatFormat.events("one ", "two"))...)).Always(scripted.OK("Hi there"))
		s := load(t, one(a, "", "rpm 100\ntpm 1000\nmax_parallel 7"))
		ask(t, s, chatPath, `{"stream_options":{"include_usage":true},`+streamed[1:])
		ask(t, s, chatPath, plain)
		eventually(t, "both to be over", 5*time.Second, func() bool { return deploymentOf(t, s, "p", "a").OutputTokens == 6 })
		d := deploymentOf(t, s, "p", "a")
		if d.TTFTMS <= 0 || d.TTFTMS > askTimeout.Seconds()*1000 {
			t.Errorf("got %v ms to the first token, want some", d.TTFTMS)
		}
		d.TTFTMS = 0
		want := status.Deployment{
			ID: "a", Order: 1, Weight: 100, State: status.Healthy, MaxParallel: 7, Requests: 2, InputTokens: 6, OutputTokens: 6,
		}
		if d.RPM == nil || *d.RPM != (status.Limit{Used: 2, Limit: 100}) || d.TPM == nil || *d.TPM != (status.Limit{Used: 12, Limit: 1000}) {
			t.Errorf("got the limits %+v and %+v, want 2 of 100 and 12 of 1000", d.RPM, d.TPM)
		}
		if d.RPM, d.TPM = nil, nil; d != want {
			t.Errorf("got %+v, want %+v", d, want)
		}
	})
	t.Run("cooling", func(t *testing.T) {
		s := load(t, one(scripted.New(t).Always(slowDown), "retries 0", ""))
		ask(t, s, chatPath, plain)
		d := is(t, s, status.Cooling, "rate_limit")
		if d.CooldownRemainingMS <= 30_000 || d.CooldownRemainingMS > 60_000 || d.Requests != 1 || d.Failures != 1 {
			t.Errorf("got %+v, want a minute less a little, after the one request that failed", d)
		}
	})
	t.Run("probing", func(t *testing.T) {
		soon := scripted.Reply(429, http.Header{"Retry-After-Ms": {"50"}}, `{"error":{"message":"Slow down","type":"rate_limit_error"}}`)
		s := load(t, one(scripted.New(t).Then(soon, scripted.Hang()), "retries 0", ""))
		ask(t, s, chatPath, plain)
		is(t, s, status.Healthy, "") // its cooldown is over
		leave := inBackground(t, s, chatPath, plain)
		is(t, s, status.Probing, "rate_limit")
		leave()
		is(t, s, status.Healthy, "")
	})
	t.Run("full", func(t *testing.T) {
		a := scripted.New(t).Always(scripted.Hang())
		s := load(t, one(a, "", "max_parallel 2"))
		first := inBackground(t, s, chatPath, plain)
		inBackground(t, s, chatPath, plain)
		if d := is(t, s, status.Full, "max_parallel"); d.InFlight != 2 {
			t.Errorf("got %d in flight, want 2", d.InFlight)
		}
		first()
		if d := is(t, s, status.Healthy, ""); d.InFlight != 1 {
			t.Errorf("got %d in flight, want 1", d.InFlight)
		}
	})
	t.Run("limited by rpm", func(t *testing.T) {
		s := load(t, one(scripted.New(t), "", "rpm 2"))
		ask(t, s, chatPath, plain)
		is(t, s, status.Healthy, "")
		ask(t, s, chatPath, plain)
		is(t, s, status.Limited, "rpm")
	})
	t.Run("limited by tpm", func(t *testing.T) {
		a := scripted.New(t).Always(scripted.Reply(200, nil, `{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":900,"completion_tokens":100}}`))
		s := load(t, one(a, "", "tpm 1000"))
		ask(t, s, chatPath, plain)
		is(t, s, status.Limited, "tpm")
	})
	t.Run("limited by what the provider says", func(t *testing.T) {
		header := http.Header{
			"X-Ratelimit-Remaining-Requests": {"0"}, "X-Ratelimit-Limit-Requests": {"10"}, "X-Ratelimit-Reset-Requests": {"60s"},
		}
		a := scripted.New(t).Always(scripted.Reply(200, header, `{"choices":[{"message":{"content":"x"}}]}`))
		s := load(t, one(a, "", "rpm 100"))
		ask(t, s, chatPath, plain)
		is(t, s, status.Limited, "provider")
	})
	t.Run("unhealthy", func(t *testing.T) {
		a := scripted.New(t).Always(scripted.Error(500, "", "", "down"))
		s := load(t, one(a, "", "health_uri /health\nhealth_interval 20ms"))
		is(t, s, status.Unhealthy, "")
		a.Always(scripted.OK("ok"))
		is(t, s, status.Healthy, "")
	})
}

func TestStatusOfPools(t *testing.T) {
	a := scripted.New(t)
	s := routerWith(t, fmt.Sprintf(`
		pool gpt nick other {
			deployment a %[1]s {
				weight 3
			}
			deployment b %[1]s {
				order 2
			}
		}
		pool llama {
			strategy weighted
			max_parallel 5
			deployment c %[1]s {
				tpm 30
			}
			deployment d %[1]s
		}
		pool even {
			deployment e %[1]s
		}`, a.URL), caddyharness.WithAdmin())
	const idle = `"state":"healthy","reason":"","cooldown_remaining_ms":0,"in_flight":0,%s"requests":0,"failures":0,"ttft_ms":0,%s"input_tokens":0,"output_tokens":0}`
	want := `{"pools":[` +
		`{"name":"gpt","aliases":["nick","other"],"strategy":"weighted","queue_depth":0,"deployments":[` +
		`{"id":"a","order":1,"weight":3,` + fmt.Sprintf(idle, "", "") + `,{"id":"b","order":2,"weight":1,` + fmt.Sprintf(idle, "", "") + `]},` +
		`{"name":"llama","strategy":"weighted","queue_depth":0,"deployments":[` +
		`{"id":"c","order":1,"weight":30,` + fmt.Sprintf(idle, `"max_parallel":5,`, `"tpm":{"used":0,"limit":30},`) +
		`,{"id":"d","order":1,"weight":0,` + fmt.Sprintf(idle, `"max_parallel":5,`, "") + `]},` +
		`{"name":"even","strategy":"weighted","queue_depth":0,"deployments":[{"id":"e","order":1,"weight":1,` + fmt.Sprintf(idle, "", "") + `]}]}`
	if _, got := statusOf(t, s); strings.TrimSpace(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestStatusOverReloads(t *testing.T) {
	a, b := scripted.New(t).Then(scripted.Error(429, "rate_limit", "rate_limit_exceeded", "Slow down. Try again in 60s.")), scripted.New(t)
	pools := twoInOrder(a, b, "")
	s := routerWith(t, pools, caddyharness.WithAdmin())
	served(t, s)
	for name, config := range map[string]string{"the same": pools, "another deadline": "deadline 1m\n" + pools} {
		reload(t, s, configOf(config))
		if d := is(t, s, status.Cooling, "rate_limit"); d.Requests != 1 || d.Failures != 1 {
			t.Errorf("%s: got %+v, want what it has done", name, d)
		}
	}
	if err := s.TryReload(configOf("default_fallback nowhere\npool q {\n\tdeployment c " + b.URL + "\n}\n" + pools)); err == nil {
		t.Fatal("the config loads")
	}
	is(t, s, status.Cooling, "rate_limit")
	if now, raw := statusOf(t, s); len(now.Pools) != 1 {
		t.Errorf("got %s, want the pool of the config that runs", raw)
	}
	reload(t, s, configOf("pool q {\n\tdeployment c "+b.URL+"\n}\n"))
	if now, raw := statusOf(t, s); len(now.Pools) != 1 || now.Pools[0].Name != "q" {
		t.Errorf("got %s, want pool q alone", raw)
	}
	s.Reload(t, ":8080 {\n\trespond hello\n}\n")
	if now, raw := statusOf(t, s); len(now.Pools) != 0 {
		t.Errorf("got %s, want no pools without a router", raw)
	}
}

// Nothing of who may use a deployment, of where it is, or of its key is anybody's
// business who may look at numbers.
func TestStatusAndMetricsShowNoSecrets(t *testing.T) {
	const secret, team, prompt = "sk-do-not-show", "team-rocket", "prompt-do-not-show"
	a := scripted.New(t).Then(scripted.Error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: "+secret))
	s := caddyharness.Load(t, observed("team {http.request.header.X-Team}\nretries 0\n"+
		"pool p {\n\tdeployment a "+a.URL+"/v1?key="+secret+" {\n\tteam "+team+"\n\tapi_key "+secret+" Api-Key\n}\n}\n"), caddyharness.WithAdmin())
	ask(t, s, chatPath, strings.Replace(plain, "Hi", prompt, 1), "X-Team", team)
	is(t, s, status.Cooling, "auth")
	_, raw := statusOf(t, s)
	metrics := send(t, s, http.MethodGet, ":8081/metrics", "", nil).body
	for where, text := range map[string]string{"status": raw, "metrics": metrics} {
		for _, word := range []string{secret, team, prompt, a.Addr} {
			if strings.Contains(text, word) {
				t.Errorf("got %s in the %s:\n%s", word, where, text)
			}
		}
	}
}

// What several routers of a config share is one thing, shown by each of them and
// counted once.
func TestStatusOfSeveralRouters(t *testing.T) {
	a := scripted.New(t).Always(scripted.Hang())
	s := caddyharness.Load(t, observed(alone(a, ""))+":8082 {\n\tllm_router {\n"+alone(a, "")+"\t}\n}\n", caddyharness.WithAdmin())
	inBackground(t, s, chatPath, plain)
	a.WaitCount(t, 1)
	now, raw := statusOf(t, s)
	if len(now.Pools) != 2 || now.Pools[0].Deployments[0].InFlight != 1 || now.Pools[1].Deployments[0].InFlight != 1 {
		t.Errorf("got %s, want the request in both", raw)
	}
	if got := scrape(t, s)[`in_flight{deployment="a",pool="p"}`]; got != 1 {
		t.Errorf("got %v in flight on the page of metrics, want 1", got)
	}
}

// The command shows the same.
func TestStatusCommand(t *testing.T) {
	a := scripted.New(t).Always(scripted.Error(429, "rate_limit", "rate_limit_exceeded", "Slow down. Try again in 60s."))
	s := routerWith(t, one(a, "retries 0", "rpm 100"), caddyharness.WithAdmin())
	ask(t, s, chatPath, plain)
	is(t, s, status.Cooling, "rate_limit")
	_, raw := statusOf(t, s)
	out := command(t, "status", "--address", s.AdminAddr(), "--json")
	if milliseconds := cutRemaining(out); milliseconds != cutRemaining(raw) {
		t.Errorf("got %s, want what the admin API says: %s", out, raw)
	}
	out = command(t, "status", "--address", s.AdminAddr())
	got := strings.Fields(out)
	for _, want := range []string{"p", "(weighted)", "a", "cooling", "(rate_limit)", "1/100"} {
		if !slices.Contains(got, want) {
			t.Errorf("got\n%s\nwant %s in it", out, want)
		}
	}
}

// cutRemaining leaves out of a status what changes with time.
func cutRemaining(raw string) string {
	before, after, _ := strings.Cut(strings.TrimSpace(raw), `"cooldown_remaining_ms":`)
	return before + strings.TrimLeft(after, "0123456789")
}

// command runs caddy llm-router as Caddy does, and gives what it prints.
func command(t *testing.T, args ...string) string {
	t.Helper()
	registered := caddycmd.Commands()["llm-router"]
	root, cmd := &cobra.Command{Use: "caddy", SilenceUsage: true}, &cobra.Command{Use: registered.Name}
	registered.CobraFunc(cmd)
	root.AddCommand(cmd)
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs(append([]string{"llm-router"}, args...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("%v: got %v", args, err)
	}
	return out.String()
}
