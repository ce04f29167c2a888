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

// follow answers with what another request is about to get. It gives retry.None when
// the client has been answered, as well as can be; any other class is why there is
// nothing to follow, and Canceled that another one may as well be followed.
func (k *kept) follow(f *cache.Flight) retry.Class {
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
			return retry.None
		case state.Lost && have == 0:
			return lostTo(state.Class)
		case state.Lost:
			k.followed(retry.Connection)
			panic(http.ErrAbortHandler) // or it would pass for a whole one
		}
		if have == 0 {
			k.beginFollowed(&state)
		}
		if err := k.pass(&state); err != nil {
			k.followed(retry.Canceled)
			return retry.None
		}
		have += len(state.New)
		if state.Ended {
			k.followed(state.Class)
			if state.Class == retry.Canceled { // the leader was cut, and told nobody so
				panic(http.ErrAbortHandler)
			}
			return retry.None
		}
	}
}

// lostTo is why there was nothing to follow. What was refused has no class.
func lostTo(class retry.Class) retry.Class {
	if class == retry.None {
		return retry.ServerError
	}
	return class
}

func (k *kept) beginFollowed(state *cache.State) {
	k.writeHead(state.Head.ContentType, state.Head.Deployment, 0)
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
