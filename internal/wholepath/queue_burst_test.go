package wholepath

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// busy is a deployment that counts what it is doing at once.
type busy struct {
	now, most atomic.Int64
}

// works is a step that takes a moment in the middle of its answer. Requests whose
// client may leave are not counted: the router is done with such a request
// before the deployment hears of it.
func (b *busy) works(w http.ResponseWriter, r *http.Request) {
	stays := r.Header.Get("X-Leaves") == ""
	if stays {
		n := b.now.Add(1)
		for most := b.most.Load(); n > most && !b.most.CompareAndSwap(most, n); most = b.most.Load() {
		}
	}
	streams := r.Header.Get("X-Streams") != ""
	events := scripted.ChatEvents("m", "one ", "two")
	if streams {
		scripted.Stream(0, events[:2]...)(w, r)
	}
	select {
	case <-time.After(time.Duration(1+rand.Int64N(5)) * time.Millisecond):
	case <-r.Context().Done():
	}
	if stays { // before the end can be seen by the router
		b.now.Add(-1)
	}
	if !streams {
		scripted.OK("served")(w, r)
		return
	}
	for _, e := range events[2:] {
		fmt.Fprintf(w, "data: %s\n\n", e)
	}
}

// Whatever comes at once and whoever leaves, no deployment carries more than it
// may, everybody who stays is served, and nothing is left over.
func TestQueueUnderABurst(t *testing.T) {
	for name, leaves := range map[string]int{"all stay": 0, "every third leaves": 3} {
		t.Run(name, func(t *testing.T) {
			var atA, atB busy
			a, b := scripted.New(t).Always(atA.works), scripted.New(t).Always(atB.works)
			l := &lane{t: t, a: a}
			l.Server = routerWith(t, fmt.Sprintf(`
				team {header.X-Team}
				priority {header.X-Prio}
				pool p {
					deployment a %s {
						max_parallel 3
					}
					deployment b %s {
						max_parallel 2
					}
					queue 200 %s
				}`, a.URL, b.URL, askTimeout))
			var group sync.WaitGroup
			for i := range 200 {
				group.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
					defer cancel()
					body, header := plain, []string{"X-Team", fmt.Sprint(i % 4), "X-Prio", fmt.Sprint(i % 3)}
					if i%2 == 0 {
						body, header = streamed, append(header, "X-Streams", "yes")
					}
					leaving := leaves > 0 && i%leaves == 0
					if leaving {
						header = append(header, "X-Leaves", "yes")
						time.AfterFunc(time.Duration(rand.Int64N(int64(150*time.Millisecond))), cancel)
					}
					g, err := tryAsk(ctx, l.Server, chatPath, body, header...)
					if !leaving && (err != nil || g.err != nil || g.status != http.StatusOK) {
						t.Errorf("request %d: got %d %s, errors %v and %v; want an answer", i, g.status, g.body, err, g.err)
					}
				})
			}
			group.Wait()
			l.idle()
			if most, more := atA.most.Load(), atB.most.Load(); most > 3 || more > 2 || most+more < 3 {
				t.Errorf("got %d requests at once on a and %d on b, want at most 3 and 2, and nearly that", most, more)
			}
		})
	}
}
