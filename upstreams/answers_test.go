package upstreams

import (
	"context"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/cache"
)

// shelf is a store of one value.
type shelf []byte

func (s shelf) Load(_ context.Context, _ int, keys ...string) ([][]byte, error) {
	return append(make([][]byte, len(keys)-1), s), nil
}

func (shelf) Keep(string, []byte, time.Duration) {}

func TestAnswersOfOthersThatHaveNoRoomHere(t *testing.T) {
	now := time.Now()
	e := cache.Entry{ContentType: "application/json", Body: []byte(`{"a":1}`), Stored: now.Add(-time.Minute), Expires: now.Add(time.Hour)}
	key := cache.Key{1}
	a := &Answers{Cache: cache.New(1), TTL: time.Hour, MaxItem: 1000, values: shelf(e.Encode(key))}
	defer a.Close()
	if found := a.Find(t.Context(), []cache.Key{key}, -1)[0]; found == nil || string(found.Body) != `{"a":1}` {
		t.Errorf("got %v, want the answer, although it is not kept here", found)
	}
	if found := a.Find(t.Context(), []cache.Key{key}, time.Second)[0]; found != nil {
		t.Errorf("got %v, want none that is so old", found)
	}
}
