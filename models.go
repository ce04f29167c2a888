package llmrouter

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/llmrouter/caddy-llm-router/upstreams"
)

const modelsPath = "/v1/models"

// openAIModel describes a model in OpenAI's format.
type openAIModel struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

// anthropicModel describes a model in Anthropic's format.
type anthropicModel struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	CreatedAt   string `json:"created_at"`
}

// asksForModels tells whether a request is for /v1/models or /v1/models/{id}.
func asksForModels(r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, modelsPath)
	return ok && (rest == "" || rest[0] == '/') &&
		(r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// serveModels answers from the pools that the team may use.
func (h *Handler) serveModels(w http.ResponseWriter, r *http.Request, team string) error {
	if id := strings.TrimPrefix(r.URL.Path[len(modelsPath):], "/"); id != "" {
		return h.serveModel(w, r, id, team)
	}
	ids := h.modelIDs(team)
	if r.Header.Get("Anthropic-Version") != "" {
		list := make([]anthropicModel, 0, len(ids))
		for _, id := range ids {
			list = append(list, h.anthropicModel(id))
		}
		page := map[string]any{"data": list, "has_more": false, "first_id": nil, "last_id": nil}
		if len(ids) > 0 {
			page["first_id"], page["last_id"] = ids[0], ids[len(ids)-1]
		}
		return writeJSON(w, page)
	}
	list := make([]openAIModel, 0, len(ids))
	for _, id := range ids {
		list = append(list, h.openAIModel(id))
	}
	return writeJSON(w, map[string]any{"object": "list", "data": list})
}

func (h *Handler) serveModel(w http.ResponseWriter, r *http.Request, id, team string) error {
	_, ok := h.router.Directory.ResolveFor(id, team)
	switch {
	case !ok:
		return refuse(w, r, unknownModel(id))
	case r.Header.Get("Anthropic-Version") != "":
		return writeJSON(w, h.anthropicModel(id))
	}
	return writeJSON(w, h.openAIModel(id))
}

// modelIDs are the names of the pools that a team may use, without wildcards.
func (h *Handler) modelIDs(team string) []string {
	var ids []string
	for _, pool := range h.Pools {
		if !pool.Engine().Serves(team) {
			continue
		}
		for _, name := range append([]string{pool.Name}, pool.Aliases...) {
			if !strings.Contains(name, "*") {
				ids = append(ids, name)
			}
		}
	}
	return ids
}

func (h *Handler) openAIModel(id string) openAIModel {
	return openAIModel{ID: id, Object: "model", Created: h.created.Unix(), OwnedBy: "llm_router"}
}

func (h *Handler) anthropicModel(id string) anthropicModel {
	return anthropicModel{Type: "model", ID: id, DisplayName: id, CreatedAt: h.created.UTC().Format(time.RFC3339)}
}

func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	upstreams.Stamp(w.Header(), "", "", 0, 0)
	w.Write(body) //nolint:errcheck // a client that is gone needs no list
	return nil
}
