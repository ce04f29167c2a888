package mock

import (
	"net/http"
	"strings"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

// listedModel is the one model of a list. The mock answers for any model, but a
// list has to name something.
const listedModel = "mock"

// modelCreated is the age of every model, 1 January 2025, so that answers do
// not differ from one another.
const modelCreated = 1735689600

type openAIModel struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

type anthropicModel struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	CreatedAt   string `json:"created_at"`
}

// lookUp answers a GET or HEAD.
func lookUp(r *http.Request) *http.Response {
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case path == "" || strings.HasSuffix(path, "/health"):
		return newResponse(r, http.StatusOK, "application/json", []byte(`{"status":"ok"}`))
	case strings.HasSuffix(path, "/models"):
		return newResponse(r, http.StatusOK, "application/json", modelList(r))
	}
	if _, id, ok := strings.Cut(path, "/models/"); ok && len(id) <= maxModel {
		return newResponse(r, http.StatusOK, "application/json", marshal(model(r, id)))
	}
	return noSuchEndpoint(r)
}

func modelList(r *http.Request) []byte {
	if anthropicClient(r) {
		return marshal(struct {
			Data    []any  `json:"data"`
			HasMore bool   `json:"has_more"`
			FirstID string `json:"first_id"`
			LastID  string `json:"last_id"`
		}{[]any{model(r, listedModel)}, false, listedModel, listedModel})
	}
	return marshal(struct {
		Object string `json:"object"`
		Data   []any  `json:"data"`
	}{"list", []any{model(r, listedModel)}})
}

func model(r *http.Request, id string) any {
	if anthropicClient(r) {
		return anthropicModel{Type: "model", ID: id, DisplayName: id, CreatedAt: "2025-01-01T00:00:00Z"}
	}
	return openAIModel{ID: id, Object: "model", Created: modelCreated, OwnedBy: "llm_mock"}
}

func anthropicClient(r *http.Request) bool { return r.Header.Get("Anthropic-Version") != "" }

// noSuchEndpoint is the answer to what no model server knows.
func noSuchEndpoint(r *http.Request) *http.Response {
	p := problem{api.DialectOf(r.URL.Path), api.Error{
		Status: http.StatusNotFound, Message: unknownURL(r), Code: "unknown_url",
	}}
	return p.response(r)
}

func unknownURL(r *http.Request) string {
	path := r.URL.Path
	if len(path) > maxModel {
		path = path[:maxModel] + "…"
	}
	return "Invalid URL (" + r.Method + " " + path + ")"
}
