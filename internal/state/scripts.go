package state

import (
	"context"
	_ "embed" // the scripts
	"strings"

	"github.com/redis/go-redis/v9"
)

// The scripts are each for one key, so that they also run in a Cluster.
var (
	//go:embed minute.lua
	minuteSource string
	//go:embed cooldown.lua
	cooldownSource string
	//go:embed health.lua
	healthSource string
	//go:embed stored.lua
	storedSource string
	//go:embed lead.lua
	leadSource string
	//go:embed session.lua
	sessionSource string

	minuteScript   = newScript(minuteSource)
	cooldownScript = newScript(cooldownSource)
	healthScript   = newScript(healthSource)
	storedScript   = newScript(storedSource)
	leadScript     = newScript(leadSource)
	sessionScript  = newScript(sessionSource)
)

// script is known to Redis by its hash; only a server that has not seen it yet
// gets its text.
type script struct{ text, hash string }

func newScript(text string) *script { return &script{text, redis.NewScript(text).Hash()} }

// call is one run of a script within a round.
type call struct {
	script *script
	key    string
	args   []any
	reply  *redis.Cmd
}

// runAll runs scripts in one round trip for each server, and in one more for
// servers that do not know them yet.
func runAll(ctx context.Context, client redis.UniversalClient, calls []*call) {
	if len(calls) == 0 {
		return
	}
	pipe := client.Pipeline()
	for _, c := range calls {
		c.reply = pipe.EvalSha(ctx, c.script.hash, []string{c.key}, c.args...)
	}
	exec(ctx, pipe, calls)
	pipe = client.Pipeline()
	var again []*call
	for _, c := range calls {
		if unknownScript(c.reply.Err()) {
			c.reply = pipe.Eval(ctx, c.script.text, []string{c.key}, c.args...)
			again = append(again, c)
		}
	}
	if len(again) > 0 {
		exec(ctx, pipe, again)
	}
}

// exec sends a pipeline. Each call has its own error then, also when there was no
// connection to send it over, of which the client tells only the pipeline.
func exec(ctx context.Context, pipe redis.Pipeliner, calls []*call) {
	_, err := pipe.Exec(ctx)
	for _, c := range calls {
		if err != nil && c.reply.Err() == nil && c.reply.Val() == nil {
			c.reply.SetErr(err)
		}
	}
}

// run runs one script.
func run(ctx context.Context, client redis.UniversalClient, c *call) {
	keys := []string{c.key}
	c.reply = client.EvalSha(ctx, c.script.hash, keys, c.args...)
	if unknownScript(c.reply.Err()) {
		c.reply = client.Eval(ctx, c.script.text, keys, c.args...)
	}
}

func unknownScript(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT")
}

// wrongType knows the error for a key that holds something of another type. Old
// servers put it behind the name of the script.
func wrongType(err error) bool {
	return err != nil && strings.Contains(err.Error(), "WRONGTYPE ")
}
