package fleet

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// cached asks an instance for an answer that may have been kept, and tells where it
// came from.
func (i *instance) cached(t testing.TB, content string, stream bool) (from, body string) {
	t.Helper()
	question := `{"model":"p","messages":[{"role":"user","content":"` + content + `"}]}`
	if stream {
		question = `{"stream":true,` + question[1:]
	}
	res, err := i.client.Post("http://localhost/v1/chat/completions", "application/json", strings.NewReader(question))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("got %d, %s and %v, want an answer", res.StatusCode, text, err)
	}
	return res.Header.Get("X-LLM-Cache"), string(text)
}

// One instance asks, the others have the answer: from Redis once, and then from their
// own memory. Whatever becomes of Redis, requests are answered.
func TestAnswersAreShared(t *testing.T) {
	server, a := redistest.Start(t), scripted.New(t)
	global, pools := "redis "+server.URL()+" {\n timeout 1s\n}", "pool p {\n cache 1h\n deployment a "+a.URL+"\n}\n"
	f := start(t, global, pools)
	f.connected(t, server)
	keys := func() string {
		return server.Do(t, "EVAL", `return #redis.call('KEYS', 'llm_router:value:answer:*')`, "0")
	}

	for _, stream := range []bool{false, true} {
		had := a.Count()
		from, first := f[0].cached(t, "Hello", stream)
		if from != "miss" {
			t.Fatalf("got a %s, want a miss of the first who asks", from)
		}
		want := map[bool]string{false: ":1", true: ":2"}[stream]
		redistest.WaitFor(t, "the answer in Redis", func() bool { return keys() == want })
		for _, i := range f {
			if from, body := i.cached(t, "Hello", stream); from != "hit" || body != first {
				t.Errorf("instance %s: got a %s and %q, want a hit and %q", i.name, from, body, first)
			}
		}
		if n := a.Count() - had; n != 1 {
			t.Errorf("the upstream has had %d requests, want 1", n)
		}
	}

	t.Run("what is foreign is as good as nothing", func(t *testing.T) {
		server.Do(t, "EVAL", `for _, k in ipairs(redis.call('KEYS', 'llm_router:value:answer:*')) do redis.call('SET', k, 'nonsense') end return 0`, "0")
		if from, _ := f[0].cached(t, "Hello", false); from != "hit" {
			t.Errorf("got a %s, want the instance's own", from)
		}
		f[1].kill()
		if err := f[1].launch(global, pools); err != nil {
			t.Fatal(err)
		}
		if from, _ := f[1].cached(t, "Hello", false); from != "miss" {
			t.Errorf("got a %s of an instance that has just started, want a miss", from)
		}
	})
	t.Run("a frozen Redis is as good as an empty one", func(t *testing.T) {
		server.Freeze(t)
		defer server.Thaw(t)
		if from, _ := f[2].cached(t, "Hello", false); from != "hit" {
			t.Errorf("got a %s, want the instance's own", from)
		}
		for n := range 5 {
			begin := time.Now()
			if from, _ := f[2].cached(t, "new "+string(rune('a'+n)), false); from != "miss" {
				t.Errorf("got a %s, want a miss", from)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("got an answer after %v, want it about a second later at most", took)
			}
		}
	})
}
