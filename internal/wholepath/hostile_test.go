package wholepath

import (
	"fmt"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// A path that leads out of where it begins would leave a deployment's prefix,
// with the router's key.
func TestPathsThatClimbAreRefused(t *testing.T) {
	a := scripted.New(t)
	s := routerWith(t, fmt.Sprintf("pool p {\n deployment a %s/tenant/v1 {\n api_key k\n }\n}", a.URL))
	for _, path := range []string{
		"/v1/../../other/v1/chat/completions", "/v1/%2e%2e/%2e%2e/other/chat/completions", "/v1/chat/..", "/v1/x/%2E./completions",
	} {
		if g := ask(t, s, path, plain); g.status != 400 {
			t.Errorf("%s: got %d %s, want 400", path, g.status, g.body)
		}
	}
	counts(t, "a", a, 0)
	if g := ask(t, s, "/v1/chat..x/completions", plain); g.status != 200 {
		t.Errorf("got %d %s for a path with dots in a name, want 200", g.status, g.body)
	}
	if got := a.Last(t).Path; got != "/tenant/v1/chat..x/completions" {
		t.Errorf("the upstream was asked for %s", got)
	}
}

// Two readers upstream must not find two models.
func TestTheQueryNeverNamesAnotherModelThanTheBody(t *testing.T) {
	a := scripted.New(t)
	s := routerWith(t, fmt.Sprintf("pool p {\n deployment a %s {\n model real\n }\n}", a.URL))
	ask(t, s, chatPath+"?model=expensive&x=1", plain).served(t, "ok", "a", 1, 0)
	last := a.Last(t)
	if last.Query.Encode() != "model=real&x=1" || !strings.Contains(string(last.Body), `"model":"real"`) {
		t.Errorf("the upstream got the query %q and the body %s, want the model real in both", last.Query.Encode(), last.Body)
	}
}

// The name would end its part of a form, and begin another one with a model that the
// deployment's does not allow. A model that comes from elsewhere is held to the same.
func TestAModelInTheQueryIsText(t *testing.T) {
	const form = "--B\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nen\r\n--B--\r\n"
	inForm := "\r\n--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nexpensive"
	for from, policy := range map[string]string{"the query": "", "the configuration": "model {query.model}"} {
		t.Run("by "+from, func(t *testing.T) {
			a := scripted.New(t)
			s := routerWith(t, fmt.Sprintf("%s\npool local/* {\n deployment a %s {\n model cheap/*\n api_key k\n }\n}", policy, a.URL))
			for _, model := range []string{"local/x" + inForm, "local/\x00", "local/\xff", "local/" + strings.Repeat("x", 5000)} {
				query := "?" + url.Values{"model": {model}}.Encode()
				asked := map[string]got{
					"a form": send(t, s, http.MethodPost, "/v1/audio/transcriptions"+query, "multipart/form-data; boundary=B", strings.NewReader(form)),
					"JSON":   ask(t, s, chatPath+query, `{"messages":[]}`),
				}
				for kind, g := range asked {
					if g.status != 400 || !strings.Contains(g.body, `"param":"model"`) {
						t.Errorf("%.80q beside %s: got %d %.200s, want 400 for the model", model, kind, g.status, g.body)
					}
				}
			}
			counts(t, "a", a, 0)
		})
	}
}

func TestAFormWithoutAModelGetsOne(t *testing.T) {
	a := scripted.New(t).Always(scripted.Reply(200, http.Header{"Content-Type": {"application/json"}}, `{"text":"hi"}`))
	s := routerWith(t, fmt.Sprintf("pool p {\n deployment a %s {\n model whisper-1\n }\n}", a.URL))
	var form strings.Builder
	w := multipart.NewWriter(&form)
	w.WriteField("language", "en")
	part, _ := w.CreateFormFile("file", "a.wav")
	part.Write([]byte("sound"))
	w.Close()
	g := send(t, s, http.MethodPost, "/v1/audio/transcriptions?model=p", w.FormDataContentType(), strings.NewReader(form.String()))
	if g.status != 200 {
		t.Fatalf("got %d %s", g.status, g.body)
	}
	last := a.Last(t)
	_, params, _ := mime.ParseMediaType(last.Header.Get("Content-Type"))
	got, err := multipart.NewReader(strings.NewReader(string(last.Body)), params["boundary"]).ReadForm(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.Value["model"], got.Value["language"], len(got.File["file"])) != "[whisper-1] [en] 1" {
		t.Errorf("got the form %v, want the model whisper-1 beside what was sent", got)
	}
}

func TestHeadersThatTellOfTheClientStayHere(t *testing.T) {
	a := scripted.New(t)
	s := routerWith(t, fmt.Sprintf("pool p {\n deployment a %s {\n api_key k\n }\n}", a.URL))
	private := []string{
		"X-Forwarded-Access-Token", "X-Forwarded-Email", "X-Forwarded-For", "Forwarded", "Via", "X-Real-IP",
		"CF-Connecting-IP", "True-Client-IP", "X-LiteLLM-API-Key", "X-API-Key", "X-LLM-Anything",
	}
	var header []string
	for _, name := range private {
		header = append(header, name, "secret")
	}
	ask(t, s, chatPath, plain, append(header, "OpenAI-Beta", "kept")...).served(t, "ok", "a", 1, 0)
	last := a.Last(t)
	for _, name := range private {
		if got := last.Header.Get(name); got != "" {
			t.Errorf("the upstream got %s: %s", name, got)
		}
	}
	if last.Header.Get("OpenAI-Beta") != "kept" {
		t.Errorf("the upstream got %v, which lacks OpenAI-Beta", last.Header)
	}
}
