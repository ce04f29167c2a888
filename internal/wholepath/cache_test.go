package wholepath

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// What is kept of answers, and who gets it again.

const embeddingsPath = "/v1/embeddings"

// keeping is a router of the pool p, which keeps its answers, with one deployment
// that has a key of its own.
func keeping(t *testing.T, a *scripted.Upstream, policy string) *caddyharness.Server {
	t.Helper()
	return routerWith(t, keepingPool(a, policy))
}

func keepingPool(a *scripted.Upstream, policy string) string {
	return fmt.Sprintf("%s\npool p {\n\tdeployment a %s {\n\t\tapi_key sk-own\n\t}\n}\n", policy, a.URL)
}

// from checks where an answer has come from: hit, miss or, where it is empty, past
// the cache.
func (g got) from(t testing.TB, want string) {
	t.Helper()
	if value := g.header.Get("X-LLM-Cache"); value != want || g.status != http.StatusOK {
		t.Errorf("got status %d and X-LLM-Cache %q, want 200 and %q", g.status, value, want)
	}
}

func TestAKeptAnswerIsGivenAgain(t *testing.T) {
	for name, body := range map[string]string{"whole": plain, "streamed": streamed} {
		t.Run(name, func(t *testing.T) {
			a := scripted.New(t).Always(scripted.OK("Hello there."))
			s := keeping(t, a, "cache 1h")
			first := ask(t, s, chatPath, body)
			first.served(t, "Hello", "a", 1, 0)
			first.from(t, "miss")
			again := ask(t, s, chatPath, body)
			again.served(t, "Hello", "a", 0, 0)
			again.from(t, "hit")
			if again.body != first.body {
				t.Errorf("got %q again, want %q", again.body, first.body)
			}
			for _, header := range []string{"Content-Type", "X-LLM-Pool"} {
				if got, want := again.header.Get(header), first.header.Get(header); got != want {
					t.Errorf("%s: got %q again, want %q", header, got, want)
				}
			}
			if age, cost := again.header.Get("Age"), again.header.Get("X-LLM-Cost"); age == "" || cost != "0" {
				t.Errorf("got Age %q and X-LLM-Cost %q, want an age and 0", age, cost)
			}
			counts(t, "a", a, 1)
		})
	}
}

// Some servers end their streams without [DONE].
func TestAStreamThatEndsWithoutItsLastEventIsKept(t *testing.T) {
	events := scripted.ChatEvents("m", "one", "two")
	a := scripted.New(t).Always(scripted.Stream(0, events[:len(events)-1]...))
	s := keeping(t, a, "cache 1h")
	first := ask(t, s, chatPath, streamed)
	first.from(t, "miss")
	again := ask(t, s, chatPath, streamed)
	again.from(t, "hit")
	if again.body != first.body || !strings.HasSuffix(again.body, "data: [DONE]\n\n") {
		t.Errorf("got %q again, want %q", again.body, first.body)
	}
}

func TestTheSameRequestInOtherWords(t *testing.T) {
	a := scripted.New(t)
	s := keeping(t, a, "cache 1h")
	ask(t, s, chatPath, `{"model":"p","seed":1,"messages":[{"role":"user","content":"é"}]}`).from(t, "miss")
	for _, body := range []string{
		`{"messages":[{"content":"é","role":"user"}],"model":"p","seed":1}`,
		`{ "model" : "p", "seed": 1.0, "messages": [ {"role":"user","content":"\u00e9"} ] }`,
		`{"model":"p","seed":1,"messages":[{"role":"user","content":"é"}],"temperature":1.0,"n":1,"stream":false,"tools":null,"user":"x"}`,
	} {
		ask(t, s, chatPath, body).from(t, "hit")
	}
	for _, body := range []string{
		`{"model":"p","seed":2,"messages":[{"role":"user","content":"é"}]}`,
		`{"model":"p","seed":1,"messages":[{"role":"user","content":"é"}],"temperature":0}`,
		`{"model":"p","seed":1,"messages":[{"role":"user","content":"é"}],"unheard_of":1}`,
		`{"model":"p","seed":1,"messages":[{"role":"user","content":"é"}],"stream":true}`,
	} {
		ask(t, s, chatPath, body).from(t, "miss")
	}
	counts(t, "a", a, 5)
}

func TestRequestsThatAreNotLookedUp(t *testing.T) {
	a := scripted.New(t).Always(scripted.Reply(200, nil, `{"ok":true}`))
	s := keeping(t, a, "cache 1h")
	for range 2 {
		ask(t, s, "/v1/images/generations", `{"model":"p","prompt":"x"}`).from(t, "")
		ask(t, s, "/v1/messages/count_tokens", `{"model":"p","messages":[]}`).from(t, "")
		ask(t, s, responsesPath, `{"model":"p","input":"x","previous_response_id":"resp_1"}`).from(t, "")
		ask(t, s, chatPath, `{"model":"p","seed":1,"seed":1}`).from(t, "")
	}
	counts(t, "a", a, 8)
}

func TestAnswersThatAreNotKept(t *testing.T) {
	cut := scripted.ChatEvents("m", "one", "two")
	for name, tt := range map[string]struct {
		step scripted.Step
		body string
	}{
		"an error":                      {scripted.Error(400, "invalid_request_error", "x", "No."), plain},
		"an error with a good status":   {scripted.Reply(200, nil, `{"error":{"message":"no","code":"x"}}`), plain},
		"an error in place of its end":  {scripted.Reply(200, nil, `{"choices":[{"index":0,"message":{"content":"Hel"},"finish_reason":"error"}]}`), plain},
		"another good status":           {scripted.Reply(202, nil, `{"status":"accepted"}`), plain},
		"no JSON":                       {scripted.Reply(200, nil, `{"choices":[`), plain},
		"a page":                        {scripted.Reply(200, http.Header{"Content-Type": {"text/html"}}, "<p>"), plain},
		"a compressed one":              {scripted.Reply(200, http.Header{"Content-Encoding": {"br"}}, "{}"), plain},
		"one that is too long":          {scripted.OK(strings.Repeat("long ", 1000)), plain},
		"a stream that is too long":     {scripted.OK(strings.Repeat("long ", 1000)), streamed},
		"a stream that is cut":          {scripted.Stream(0, cut[:2]...), streamed},
		"a stream cut at its finish":    {scripted.CutAfter(1<<20, scripted.Stream(0, cut[:4]...)), streamed},
		"a stream with an error":        {scripted.Stream(0, cut[0], cut[1], `{"error":{"message":"no"}}`), streamed},
		"a stream with a broken event":  {scripted.Stream(0, cut[0], cut[1], `{"broken`, cut[2], cut[3], cut[4]), streamed},
		"a stream whose format is none": {scripted.Lines(0, `{"a":1}`), streamed},
		"a stream with trailers": {func(w http.ResponseWriter, r *http.Request) {
			scripted.OK("Hello.")(w, r)
			w.Header().Set(http.TrailerPrefix+"X-Checksum", "1")
		}, streamed},
		"one whose connection is broken": {scripted.CutAfter(20, scripted.OK("Hello.")), plain},
	} {
		t.Run(name, func(t *testing.T) {
			a := scripted.New(t).Always(tt.step)
			s := keeping(t, a, "cache 1h {\n\tmax_item 4KiB\n}\nretries 0\nfailover off\ncooldown off")
			for range 2 {
				if g := ask(t, s, chatPath, tt.body); g.header.Get("X-LLM-Cache") != "miss" {
					t.Errorf("got status %d and X-LLM-Cache %q, want a miss", g.status, g.header.Get("X-LLM-Cache"))
				}
			}
			counts(t, "a", a, 2)
		})
	}
}

func TestAnswersOfFallbacksAreNotKept(t *testing.T) {
	a := scripted.New(t).Always(scripted.Error(500, "x", "x", "No."))
	b := scripted.New(t)
	s := routerWith(t, withFallback(a, b, "cache 1h\nretries 0\ncooldown off"))
	for range 2 {
		g := ask(t, s, chatPath, plain)
		g.served(t, "ok", "b", 2, 1)
		g.from(t, "miss")
	}
}

func TestAResumedStreamIsNotKept(t *testing.T) {
	events := scripted.ChatEvents("m", "one ", "two ", "three")
	a := scripted.New(t).Always(scripted.Stream(0, events[:3]...))
	b := scripted.New(t).Always(scripted.Stream(0, events...))
	s := routerWith(t, twoInOrder(a, b, "cache 1h\nresume on\ncooldown off"))
	for range 2 {
		g := ask(t, s, chatPath, streamed)
		g.from(t, "miss")
		if !strings.Contains(g.body, "three") {
			t.Fatalf("got %q, want the stream to go on to its end", g.body)
		}
	}
}

func TestTheAnswerThatWinsARaceIsKept(t *testing.T) {
	for name, body := range map[string]string{"whole": plain, "streamed": streamed} {
		t.Run(name, func(t *testing.T) {
			a, b := scripted.New(t).Always(scripted.Hang()), scripted.New(t).Always(scripted.OK("Hello."))
			s := routerWith(t, fmt.Sprintf("cache 1h\nhedge 10ms\nretries 2 {\n\tbudget 100 10\n}\npool p {\n\tstrategy round_robin\n\tdeployment a %s {\n\t\tweight 2\n\t}\n\tdeployment b %s\n}", a.URL, b.URL))
			first := ask(t, s, chatPath, body)
			first.from(t, "miss")
			again := ask(t, s, chatPath, body)
			again.from(t, "hit")
			again.served(t, "Hello", "b", 0, 0)
			if again.body != first.body {
				t.Errorf("got %q again, want %q", again.body, first.body)
			}
			counts(t, "a", a, 1) // which was asked first
			counts(t, "b", b, 1)
		})
	}
}

func TestWhoseAnswersTheyAre(t *testing.T) {
	t.Run("never another team's", func(t *testing.T) {
		a := scripted.New(t)
		s := keeping(t, a, "team {http.request.header.X-Team}\ncache 1h")
		ask(t, s, chatPath, plain, "X-Team", "red").from(t, "miss")
		ask(t, s, chatPath, plain, "X-Team", "blue").from(t, "miss")
		ask(t, s, chatPath, plain).from(t, "miss")
		ask(t, s, chatPath, plain, "X-Team", "red").from(t, "hit")
	})
	t.Run("never another client's, where clients have keys", func(t *testing.T) {
		a := scripted.New(t)
		s := routerWith(t, alone(a, "cache 1h"))
		for _, header := range []string{
			"Authorization", "X-Api-Key", "Api-Key", "Cookie", "X-House-Token",
			"apikey", "X-Accesstoken", "sessionid", "X-Jwt-Assertion",
		} {
			ask(t, s, chatPath, plain, header, "Bearer one").from(t, "miss")
			ask(t, s, chatPath, plain, header, "Bearer two").from(t, "miss")
			ask(t, s, chatPath, plain, header, "Bearer one").from(t, "hit")
		}
		ask(t, s, chatPath, plain).from(t, "miss")
		ask(t, s, chatPath, plain, "Idempotency-Key", "1").from(t, "hit")
	})
	t.Run("nor where header_up makes the key of the request", func(t *testing.T) {
		a := scripted.New(t)
		s := routerWith(t, fmt.Sprintf("cache 1h\npool p {\n\tdeployment a %s {\n\t\theader_up Authorization {http.request.header.X-Key}\n\t}\n}", a.URL))
		ask(t, s, chatPath, plain, "Authorization", "one").from(t, "miss")
		ask(t, s, chatPath, plain, "Authorization", "two").from(t, "miss")
	})
	t.Run("everybody's, where the deployments have keys", func(t *testing.T) {
		a := scripted.New(t)
		s := keeping(t, a, "cache 1h")
		ask(t, s, chatPath, plain, "Authorization", "Bearer one").from(t, "miss")
		ask(t, s, chatPath, plain, "Authorization", "Bearer two").from(t, "hit")
	})
	t.Run("of deployments that send the same with the same transport", func(t *testing.T) {
		a := scripted.New(t)
		router := "cache 1h\npool p {\n\tdeployment a %s {\n\t\theader_up %s\n\t}\n}"
		site := func(path, header string) string {
			return "route " + path + "/* {\n\turi strip_prefix " + path + "\n\tllm_router {\n" + fmt.Sprintf(router, a.URL, header) + "\n\t}\n}\n"
		}
		s := caddyharness.Load(t, ":8080 {\n"+site("/one", "Authorization key-1")+site("/same", "Authorization key-1")+
			site("/two", "Authorization key-2")+site("/red", "X-Tenant red")+site("/blue", "X-Tenant blue")+"}\n")
		for _, tt := range []struct{ site, from string }{
			{"/one", "miss"}, {"/one", "hit"}, {"/same", "hit"}, {"/two", "miss"}, {"/red", "miss"}, {"/blue", "miss"}, {"/two", "hit"},
		} {
			t.Run(tt.site+" is a "+tt.from, func(t *testing.T) { ask(t, s, tt.site+chatPath, plain).from(t, tt.from) })
		}
	})
	t.Run("by tags, version, query and vary", func(t *testing.T) {
		a := scripted.New(t)
		s := keeping(t, a, "tags {http.request.header.X-Tag}\ncache 1h {\n\tvary {http.request.header.X-Tenant}\n}")
		for _, header := range [][]string{{"X-Tag", "a"}, {"X-Tag", "b"}, {"OpenAI-Beta", "x"}, {"X-Tenant", "1"}, {"X-Tenant", "2"}} {
			ask(t, s, chatPath, plain, header...).from(t, "miss")
			ask(t, s, chatPath, plain, header...).from(t, "hit")
		}
		ask(t, s, chatPath+"?api-version=1", plain).from(t, "miss")
		ask(t, s, "/openai"+chatPath, plain).from(t, "miss")
		ask(t, s, chatPath, plain, "User-Agent", "x").from(t, "miss")
		ask(t, s, chatPath, plain, "User-Agent", "y").from(t, "hit")
	})
	t.Run("by tags, whatever is in them", func(t *testing.T) {
		a := scripted.New(t)
		s := keeping(t, a, "client_options tags\ncache 1h")
		for _, tags := range []string{`["a","b"]`, `["a\u0000b"]`, `["a,b"]`, `["ab"]`} {
			ask(t, s, chatPath, strings.Replace(plain, `{`, `{"tags":`+tags+`,`, 1)).from(t, "miss")
		}
		ask(t, s, chatPath, strings.Replace(plain, `{`, `{"tags":["b","a","b"],`, 1)).from(t, "hit")
	})
	t.Run("by region", func(t *testing.T) {
		a := scripted.New(t)
		s := routerWith(t, fmt.Sprintf("region {http.request.header.X-Region}\ncache 1h\npool p {\n\tdeployment eu %s {\n\t\tapi_key k\n\t\tregion eu\n\t}\n\tdeployment us %s {\n\t\tapi_key k\n\t\tregion us\n\t}\n}", a.URL, a.URL))
		for _, region := range []string{"eu", "us"} {
			ask(t, s, chatPath, plain, "X-Region", region).served(t, "ok", region, 1, 0)
			ask(t, s, chatPath, plain, "X-Region", region).served(t, "ok", region, 0, 0)
		}
	})
	t.Run("of a pool, by any of its names", func(t *testing.T) {
		a := scripted.New(t)
		s := routerWith(t, fmt.Sprintf("cache 1h\npool p nick {\n\tdeployment a %s\n}\npool q {\n\tdeployment a %s\n}\npool w/* {\n\tdeployment a %s\n}", a.URL, a.URL, a.URL))
		ask(t, s, chatPath, plain).from(t, "miss")
		ask(t, s, chatPath, strings.Replace(plain, `"p"`, `"nick"`, 1)).from(t, "hit")
		ask(t, s, chatPath, strings.Replace(plain, `"p"`, `"q"`, 1)).from(t, "miss")
		ask(t, s, chatPath, strings.Replace(plain, `"p"`, `"w/1"`, 1)).from(t, "miss")
		ask(t, s, chatPath, strings.Replace(plain, `"p"`, `"w/2"`, 1)).from(t, "miss")
	})
	t.Run("of a pool of several models, by the model", func(t *testing.T) {
		a := scripted.New(t)
		s := routerWith(t, fmt.Sprintf("cache 1h\npool x/* y/* one two {\n\tdeployment a %s\n}", a.URL))
		for _, model := range []string{"x/m", "y/m", "one", "two", "x/", "x/x/"} {
			body := strings.Replace(plain, `"p"`, strconv.Quote(model), 1)
			ask(t, s, chatPath, body).from(t, "miss")
			ask(t, s, chatPath, body).from(t, "hit")
		}
	})
	t.Run("of a group", func(t *testing.T) {
		a := scripted.New(t)
		s := routerWith(t, fmt.Sprintf("cache 1h {\n\tgroup g\n}\npool p {\n\tdeployment a %s\n}\npool q {\n\tdeployment b %s\n}", a.URL, a.URL))
		ask(t, s, chatPath, plain).from(t, "miss")
		g := ask(t, s, chatPath, strings.Replace(plain, `"p"`, `"q"`, 1))
		g.from(t, "hit")
		if pool := g.header.Get("X-LLM-Pool"); pool != "q" {
			t.Errorf("got pool %q, want the one that was asked for", pool)
		}
	})
}

func TestWhatARequestSaysOfTheCache(t *testing.T) {
	a := scripted.New(t)
	s := keeping(t, a, "client_options cache\ncache 1h")
	t.Run("no-store leaves nothing behind", func(t *testing.T) {
		ask(t, s, chatPath, plain, "Cache-Control", "no-store").from(t, "miss")
		ask(t, s, chatPath, plain).from(t, "miss")
		ask(t, s, chatPath, plain, "Cache-Control", "no-store").from(t, "hit")
	})
	t.Run("no-cache gets a new answer, which is kept", func(t *testing.T) {
		a.Then(scripted.OK("new"))
		ask(t, s, chatPath, plain, "Cache-Control", "no-cache").from(t, "miss")
		g := ask(t, s, chatPath, plain)
		g.from(t, "hit")
		g.served(t, "new", "a", 0, 0)
	})
	t.Run("max-age gets one that is young enough", func(t *testing.T) {
		ask(t, s, chatPath, plain, "Cache-Control", "max-age=600").from(t, "hit")
		ask(t, s, chatPath, plain, "Cache-Control", "max-age=0").from(t, "miss")
	})
	body := func(options string) string { return strings.Replace(plain, `{`, `{"cache":`+options+`,`, 1) }
	t.Run("the same in the body, which goes on without it", func(t *testing.T) {
		ask(t, s, chatPath, body(`{"ttl":60}`)).from(t, "hit")
		ask(t, s, chatPath, body(`{"no-cache":true}`)).from(t, "miss")
		ask(t, s, chatPath, body(`{"s-maxage":0}`)).from(t, "miss")
		ask(t, s, chatPath, body(`{"namespace":"x"}`)).from(t, "miss")
		ask(t, s, chatPath, body(`{"namespace":"x"}`)).from(t, "hit")
		ask(t, s, chatPath, body(`{"namespace":"y","no-store":true}`)).from(t, "miss")
		ask(t, s, chatPath, body(`{"namespace":"y"}`)).from(t, "miss")
		if sent := string(a.Last(t).Body); sent != plain {
			t.Errorf("the upstream got %s, want %s", sent, plain)
		}
	})
	t.Run("not of the wrong type", func(t *testing.T) {
		if g := ask(t, s, chatPath, body(`true`)); g.status != 400 || !strings.Contains(g.body, "cache") {
			t.Errorf("got %d and %s, want 400 and the field's name", g.status, g.body)
		}
	})
	t.Run("a time of its own", func(t *testing.T) {
		ask(t, s, chatPath, body(`{"namespace":"z","ttl":0.2}`)).from(t, "miss")
		eventually(t, "the answer to be too old", 5*time.Second, func() bool {
			return ask(t, s, chatPath, body(`{"namespace":"z","ttl":3600}`)).header.Get("X-LLM-Cache") == "miss"
		})
		ask(t, s, chatPath, body(`{"namespace":"z"}`)).from(t, "hit")
	})
}

func TestAMockedFailureIsNoHit(t *testing.T) {
	a := scripted.New(t)
	s := keeping(t, a, "client_options mock_testing\ncache 1h\nretries 0")
	ask(t, s, chatPath, plain).from(t, "miss")
	if g := ask(t, s, chatPath, strings.Replace(plain, `{`, `{"mock_testing_rate_limit_error":true,`, 1)); g.status != 429 {
		t.Errorf("got status %d, want the 429 that was asked for", g.status)
	}
}

func TestOptionsThatAreNotAllowedGoUpstream(t *testing.T) {
	a := scripted.New(t)
	s := keeping(t, a, "cache 1h")
	body := strings.Replace(plain, `{`, `{"cache":{"no-cache":true},`, 1)
	ask(t, s, chatPath, body).from(t, "miss")
	ask(t, s, chatPath, body).from(t, "hit")
	if sent := string(a.Last(t).Body); sent != body {
		t.Errorf("the upstream got %s, want %s", sent, body)
	}
}

func TestAnswersGetOld(t *testing.T) {
	a := scripted.New(t)
	s := keeping(t, a, "cache 1s")
	ask(t, s, chatPath, plain).from(t, "miss")
	eventually(t, "the answer to be too old", 5*time.Second, func() bool {
		return ask(t, s, chatPath, plain).header.Get("X-LLM-Cache") == "miss"
	})
	counts(t, "a", a, 2)
}

func TestMemoryForAnswersIsBounded(t *testing.T) {
	a := scripted.New(t).Always(scripted.OK(strings.Repeat("x", 10_000)))
	s := keeping(t, a, "cache 1h {\n\tsize 100KiB\n\tmax_item 50KiB\n}")
	question := func(i int) string { return strings.Replace(plain, "Hi", fmt.Sprint("Hi ", i), 1) }
	const n = 50
	for i := range n {
		ask(t, s, chatPath, question(i)).from(t, "miss")
	}
	hits := 0
	for i := range n {
		if ask(t, s, chatPath, question(i)).header.Get("X-LLM-Cache") == "hit" {
			hits++
		}
	}
	if hits > 15 {
		t.Errorf("%d answers of 10 kB are kept, want what fits into 100 KiB", hits)
	}
}

func TestAnswersSurviveAReload(t *testing.T) {
	caddyharness.NoLeaks(t)
	a := scripted.New(t)
	pools := keepingPool(a, "cache 1h")
	s := routerWith(t, pools)
	ask(t, s, chatPath, plain).from(t, "miss")
	again := func(config, want string) {
		t.Helper()
		s.Reload(t, configOf(config))
		eventually(t, "an answer", 5*time.Second, func() bool { // the old server may close the connection
			s.Client().CloseIdleConnections()
			g, err := tryAsk(t.Context(), s, chatPath, plain)
			if err == nil {
				g.from(t, want)
			}
			return err == nil
		})
	}
	again("deadline 1m\n"+pools, "hit")
	again(strings.Replace(pools, "cache 1h", "cache 2h", 1), "hit")
	again(strings.Replace(pools, "sk-own", "sk-new", 1), "miss")
	again(strings.Replace(pools, "cache 1h", "cache off", 1), "")
}

// Requests that were the same before may be two now.
func TestAnswersDoNotSurviveOtherRules(t *testing.T) {
	warm := strings.Replace(plain, "{", `{"temperature":1,`, 1)
	for name, tt := range map[string]struct {
		before, after string   // the blocks of cache
		header        []string // of the first request
		body          string
	}{
		"another vary":   {"vary {http.request.header.X-A}", "vary {http.request.header.X-B}", []string{"X-B", "1"}, plain},
		"other defaults": {"defaults on", "defaults off", nil, warm},
	} {
		t.Run(name, func(t *testing.T) {
			a := scripted.New(t)
			pools := func(block string) string { return keepingPool(a, "cache 1h {\n\t"+block+"\n}") }
			s := routerWith(t, pools(tt.before))
			ask(t, s, chatPath, tt.body, tt.header...).from(t, "miss")
			ask(t, s, chatPath, plain).from(t, "hit")
			s.Reload(t, configOf(pools(tt.after)))
			eventually(t, "an answer", 5*time.Second, func() bool { // the old server may close the connection
				s.Client().CloseIdleConnections()
				g, err := tryAsk(t.Context(), s, chatPath, plain)
				if err == nil {
					g.from(t, "miss")
				}
				return err == nil
			})
		})
	}
}

// A hit states how long it is, whoever counts.
func TestHitsStateTheirLength(t *testing.T) {
	for name, size := range map[string]int{"short": 100, "long": 20 << 10} {
		t.Run(name, func(t *testing.T) {
			s := keeping(t, scripted.New(t).Always(scripted.OK(strings.Repeat("x", size))), "cache 1h")
			ask(t, s, chatPath, plain).from(t, "miss")
			g := ask(t, s, chatPath, plain)
			g.from(t, "hit")
			if stated := g.header.Get("Content-Length"); stated != strconv.Itoa(len(g.body)) || len(g.body) < size {
				t.Errorf("got a length of %q stated for %d bytes", stated, len(g.body))
			}
		})
	}
}
