package api

import (
	"encoding/json"
	"testing"
)

func TestDialectOf(t *testing.T) {
	for path, want := range map[string]Dialect{
		"/v1/chat/completions":                        Chat,
		"/openai/deployments/gpt-4o/chat/completions": Chat,
		"/v1/chat/completions/":                       Chat,
		"/v1/completions":                             Completions,
		"/v1/responses":                               Responses,
		"/v1/messages":                                Messages,
		"/v1/messages/count_tokens":                   Messages,
		"/api/chat":                                   OllamaChat,
		"/api/generate":                               OllamaGenerate,
		"/v1/embeddings":                              Other,
		"/v1/models":                                  Other,
		"/":                                           Other,
		"":                                            Other,
		"/v1/threads/t/messages/m":                    Other,
		"/v1/chat/completions/chatcmpl-1/messages_list": Other,
	} {
		if got := DialectOf(path); got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
}

func TestErrorJSON(t *testing.T) {
	limited := Error{Status: 429, Message: `All "m" are busy.`, Code: "rate_limit_exceeded"}
	for name, tt := range map[string]struct {
		err     Error
		dialect Dialect
		want    string
	}{
		"OpenAI":            {limited, Chat, `{"error":{"message":"All \"m\" are busy.","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}`},
		"OpenAI with param": {Error{Status: 400, Message: "No.", Param: "model"}, Other, `{"error":{"message":"No.","type":"invalid_request_error","param":"model","code":null}}`},
		"OpenAI's own type": {Error{Status: 400, Message: "No.", Type: "x"}, Responses, `{"error":{"message":"No.","type":"x","param":null,"code":null}}`},
		"Anthropic":         {limited, Messages, `{"type":"error","error":{"type":"rate_limit_error","message":"All \"m\" are busy."}}`},
		"Ollama":            {limited, OllamaChat, `{"error":"All \"m\" are busy."}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(tt.err.JSON(tt.dialect)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestErrorTypesFollowTheStatus(t *testing.T) {
	for status, want := range map[int]struct{ openAI, anthropic string }{
		400: {"invalid_request_error", "invalid_request_error"},
		401: {"authentication_error", "authentication_error"},
		403: {"permission_error", "permission_error"},
		404: {"invalid_request_error", "not_found_error"},
		408: {"invalid_request_error", "invalid_request_error"},
		413: {"invalid_request_error", "request_too_large"},
		429: {"rate_limit_error", "rate_limit_error"},
		500: {"server_error", "api_error"},
		502: {"server_error", "api_error"},
		503: {"server_error", "overloaded_error"},
		504: {"server_error", "timeout_error"},
	} {
		for dialect, wanted := range map[Dialect]string{Chat: want.openAI, Messages: want.anthropic} {
			var body struct {
				Error struct{ Type string }
			}
			if err := json.Unmarshal((Error{Status: status, Message: "x"}).JSON(dialect), &body); err != nil {
				t.Fatal(err)
			}
			if body.Error.Type != wanted {
				t.Errorf("%d in dialect %d: got %s, want %s", status, dialect, body.Error.Type, wanted)
			}
		}
	}
}
