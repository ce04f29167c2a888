package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxProbeTokens bounds what a probe costs.
const maxProbeTokens = 16

// prober asks one address for one model.
type prober struct {
	client  *http.Client
	url     string // of the chat completions endpoint
	model   string
	key     string // sent as a Bearer token; empty for none
	stream  bool
	timeout time.Duration // of one request until its end
}

// newProber makes a prober with connections of its own; close them with
// client.CloseIdleConnections. A redirect is an answer like any other, so that
// the key goes nowhere else.
func newProber(address, model string) (*prober, error) {
	endpoint, err := chatURL(address)
	if err != nil {
		return nil, err
	}
	return &prober{
		client: &http.Client{
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		url: endpoint, model: model,
	}, nil
}

// chatURL is the chat completions endpoint at an address such as :8080,
// localhost:8080, https://llm.example.com or https://example.com/openai/v1.
func chatURL(address string) (string, error) {
	full := address
	if strings.HasPrefix(full, ":") {
		full = "localhost" + full
	}
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	u, err := url.Parse(full)
	if err != nil {
		return "", fmt.Errorf("the address %q is not a URL", address)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", fmt.Errorf("the address %q is not a host with a port or an http or https URL", address)
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/chat/completions")
	if !strings.HasSuffix(u.Path, "/v1") {
		u.Path += "/v1"
	}
	u.Path += "/chat/completions"
	u.RawPath, u.Fragment = "", ""
	return u.String(), nil
}

// result is what came of one request.
type result struct {
	Time       time.Time     // when it was sent
	Status     int           // 0 without an answer
	Model      string        // what the answer says
	Pool       string        // X-LLM-Pool
	Deployment string        // X-LLM-Deployment
	Attempts   *int          // X-LLM-Attempts; nil without one
	Fallbacks  *int          // X-LLM-Fallbacks; nil without one
	Latency    time.Duration // until the answer's end
	FirstToken time.Duration // until the first content of a stream
	Err        string        // why the request failed; empty when it was served
}

func (r *result) ok() bool { return r.Err == "" }

// moved tells whether the router says that the request needed more than its
// first choice.
func (r *result) moved() bool {
	return r.Attempts != nil && *r.Attempts > 1 || r.fellBack()
}

// fellBack tells whether the router says that another pool has served.
func (r *result) fellBack() bool { return r.Fallbacks != nil && *r.Fallbacks > 0 }

// probe makes one request and reads its answer to the end. It never fails
// otherwise than in the result.
func (p *prober) probe(ctx context.Context) result {
	res := result{Time: time.Now()}
	if p.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.timeout)
		defer cancel()
	}
	err := p.ask(ctx, &res)
	res.Latency = time.Since(res.Time)
	switch {
	case err == nil:
	case errors.Is(err, context.DeadlineExceeded):
		res.Err = "no answer within " + p.timeout.String()
	default:
		res.Err = printable(reason(err), maxMessage)
		if res.Err == "" {
			res.Err = "the request failed"
		}
	}
	return res
}

// reason is an error's text without the URL, which is the same on every line.
func reason(err error) string {
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		err = inURL.Err
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "timeout: " + err.Error()
	}
	return err.Error()
}

func (p *prober) ask(ctx context.Context, res *result) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(p.body()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "caddy-llm-router-watch")
	if p.key != "" {
		req.Header.Set("Authorization", "Bearer "+p.key)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	res.Status = resp.StatusCode
	res.Pool = printable(resp.Header.Get("X-Llm-Pool"), maxName)
	res.Deployment = printable(resp.Header.Get("X-Llm-Deployment"), maxName)
	res.Attempts = number(resp.Header.Get("X-Llm-Attempts"))
	res.Fallbacks = number(resp.Header.Get("X-Llm-Fallbacks"))

	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusOK && mediaType == "text/event-stream" {
		return res.readStream(resp.Body)
	}
	return res.readWhole(resp.Body)
}

func (p *prober) body() []byte {
	body, err := json.Marshal(map[string]any{
		"model":      p.model,
		"messages":   []map[string]string{{"role": "user", "content": "Reply with one word: hello"}},
		"max_tokens": maxProbeTokens,
		"stream":     p.stream,
	})
	if err != nil { // strings always marshal
		panic(err)
	}
	return body
}

// number reads a counting header.
func number(value string) *int {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return nil
	}
	return &n
}
