package llmrouter

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/llmrouter/caddy-llm-router/internal/cache"
	"github.com/llmrouter/caddy-llm-router/internal/metrics"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// follow answers with what another request is about to get, if that is not older than
// the client wants. Where the client has got nothing by it, again tells that the other
// one has only lost its client, so that the next may be followed.
func (k *kept) follow(f *cache.Flight) (answered, again bool) {
	defer f.Unfollow()
	k.h.logger.Debug("following an identical request", zap.String("pool", k.route.Target.Pool.Name))
	have := 0
	for {
		state, err := f.Next(k.r.Context(), have)
		switch {
		case err != nil:
			if have == 0 {
				k.w.WriteHeader(statusClientClosed)
			}
			k.followed(retry.Canceled)
			return true, false
		case state.Lost && have == 0:
			return false, state.Class == retry.Canceled
		case state.Lost:
			k.followed(retry.Connection)
			panic(http.ErrAbortHandler) // or it would pass for a whole one
		}
		if have == 0 {
			if k.wishes.MaxAge >= 0 && state.Head.Age(k.began) > k.wishes.MaxAge {
				return false, false
			}
			k.beginFollowed(&state)
		}
		if err := k.pass(&state); err != nil {
			k.followed(retry.Canceled)
			return true, false
		}
		have += len(state.New)
		if state.Ended {
			k.followed(state.Class)
			if state.Class == retry.Canceled { // the leader was cut, and told nobody so
				panic(http.ErrAbortHandler)
			}
			return true, false
		}
	}
}

func (k *kept) beginFollowed(state *cache.State) {
	k.writeHead(state.Head.ContentType, state.Head.Deployment, state.Head.Age(k.began))
	if !state.Head.Stream {
		k.w.Header()["Content-Length"] = []string{strconv.Itoa(len(state.New))}
	}
	k.w.WriteHeader(http.StatusOK)
}

// pass gives the client what has come.
func (k *kept) pass(state *cache.State) error {
	if _, err := k.w.Write(state.New); err != nil {
		return err
	}
	if !state.Head.Stream {
		return nil
	}
	if err := http.NewResponseController(k.w).Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil // a writer that cannot flush is late, and no more
}

// followed counts and reports a request that was answered so.
func (k *kept) followed(class retry.Class) {
	k.count(metrics.CacheShared)
	k.tell(class, time.Since(k.began))
}
