package clients

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// providerModel is what providers call the model that they serve.
const providerModel = "provider-model"

// provider answers as a provider does whose only model is providerModel, and
// whose keys are these. It knows every API that the clients are tried with.
func provider(keys ...string) scripted.Step {
	return func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("X-Api-Key")
		if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			key += bearer
		}
		if !slices.Contains(keys, key) {
			failure(401, "authentication_error", "invalid_api_key", "Incorrect API key provided.")(w, r)
			return
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "/embeddings"):
			embeddings(w, r)
		case strings.HasSuffix(r.URL.Path, "/audio/transcriptions"):
			transcription(w, r)
		case strings.HasSuffix(r.URL.Path, "/messages/count_tokens"):
			scripted.Reply(200, nil, `{"input_tokens":7}`)(w, r)
		default:
			converse(w, r)
		}
	}
}

func bodyOf(r *http.Request) []byte {
	body, _ := io.ReadAll(r.Body)
	return body
}

// converse answers chat completions, Responses and messages.
func converse(w http.ResponseWriter, r *http.Request) {
	var q question
	var whole func(question, answer) string
	var events func(question, answer) []string
	switch api.DialectOf(r.URL.Path) {
	case api.Chat:
		q, whole, events = chatQuestion(bodyOf(r)), chatWhole, chatEvents
	case api.Responses:
		q, whole, events = responsesQuestion(bodyOf(r)), responsesWhole, responsesEvents
	case api.Messages:
		q, whole, events = messagesQuestion(bodyOf(r)), messagesWhole, messagesEvents
	default:
		failure(404, "invalid_request_error", "unknown_url", "Unknown request URL.")(w, r)
		return
	}
	switch {
	case q.model != providerModel:
		failure(404, "invalid_request_error", "model_not_found", "The model does not exist.")(w, r)
	case q.stream:
		scripted.Stream(0, events(q, q.answer())...)(w, r)
	default:
		scripted.Reply(200, nil, whole(q, q.answer()))(w, r)
	}
}

// embeddings makes a vector of each input: its length, its place and two
// fractions.
func embeddings(w http.ResponseWriter, r *http.Request) {
	body := bodyOf(r)
	inputs := gjson.GetBytes(body, "input").Array() // of a string: itself
	data := make([]string, len(inputs))
	for i, input := range inputs {
		vector := []float32{float32(len(input.String())), float32(i), 0.5, -0.25}
		encoded := quote(vector)
		if gjson.GetBytes(body, "encoding_format").String() == "base64" {
			var raw []byte
			for _, x := range vector {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
			}
			encoded = quote(base64.StdEncoding.EncodeToString(raw))
		}
		data[i] = fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":%s}`, i, encoded)
	}
	scripted.Reply(200, nil, fmt.Sprintf(`{"object":"list","data":[%s],"model":%s,"usage":{"prompt_tokens":4,"total_tokens":4}}`,
		strings.Join(data, ","), quote(gjson.GetBytes(body, "model").String())))(w, r)
}

// transcription says of the audio what it was, and in which language.
func transcription(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("model") != providerModel {
		failure(404, "invalid_request_error", "model_not_found", "The model does not exist.")(w, r)
		return
	}
	file, head, err := r.FormFile("file")
	if err != nil {
		failure(400, "invalid_request_error", "missing_file", "There is no file.")(w, r)
		return
	}
	defer file.Close()
	audio, _ := io.ReadAll(file)
	scripted.Reply(200, nil, `{"text":`+quote(fmt.Sprintf("%s in %s: %s", head.Filename, r.FormValue("language"), fingerprint(audio)))+`}`)(w, r)
}

// failure answers with an error in the format of the path.
func failure(status int, kind, code, message string) scripted.Step {
	return func(w http.ResponseWriter, r *http.Request) {
		header := http.Header{"X-Request-Id": {"req_of_provider"}, "Request-Id": {"req_of_provider"}}
		if status == http.StatusTooManyRequests {
			header.Set("Retry-After", "7")
			header.Set("X-Ratelimit-Remaining-Requests", "0")
		}
		body := fmt.Sprintf(`{"error":{"message":%s,"type":%s,"param":null,"code":%s}}`, quote(message), quote(kind), quote(code))
		if api.DialectOf(r.URL.Path) == api.Messages {
			body = fmt.Sprintf(`{"type":"error","error":{"type":%s,"message":%s}}`, quote(kind), quote(message))
		}
		scripted.Reply(status, header, body)(w, r)
	}
}
