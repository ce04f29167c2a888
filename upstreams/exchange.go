package upstreams

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// Exchange carries one client's request to deployments and their answers back.
// It implements engine.Exchange: what comes back is judged before anything is
// written to the client.
type Exchange struct {
	// What every event of a stream needs is together, here and in round: of many
	// streams, it has left the processor's caches between two events.

	w       http.ResponseWriter
	control http.ResponseController
	dialect api.Dialect
	*round  // of the last attempt
	own     round

	r        *http.Request
	repl     *caddy.Replacer
	body     *apireq.Body
	facts    *apireq.Facts
	form     bool
	attempts int
	first    *outgoing // the first attempt's
	forks    *forks    // the attempts of which several may run, nil where one is alone
	fork     *fork     // whose Exchange this is, nil where it is the request's

	refusal refusal
	// committed tells that the client has the head of an answer, streaming that
	// it was a stream's.
	committed, streaming bool
	// raced tells that another attempt may still be ending when the answer does.
	raced bool

	roundTrip   sync.Mutex // protects inRoundTrip and quiet, and the header map while only the first is set
	inRoundTrip bool
	quiet       bool // another attempt runs beside this one
}

// round is what an attempt has brought so far.
type round struct {
	stream stream
	watch  *watch
	// hidesUsage tells that the router has asked for a usage event that the client
	// is not to see.
	hidesUsage bool
	// answerID is the id of an answer of the Responses API, where wantsID.
	wantsID  bool
	answerID []byte
	// resumed tells that the answer goes on with another one that the client has a
	// part of.
	resumed bool
	account account
	answer  answer
}

// errSwitched says that an upstream took a connection for another protocol.
var errSwitched = errors.New("the upstream switched to another protocol")

// NewExchange prepares the exchange for a request whose body has been read.
// form tells that the body is a multipart form rather than JSON.
func NewExchange(w http.ResponseWriter, r *http.Request, body *apireq.Body, facts *apireq.Facts, form bool) *Exchange {
	x := new(Exchange)
	x.Open(w, r, body, facts, form)
	return x
}

// Open is NewExchange in memory that is there: an Exchange that is new, or whose Close
// has returned true.
func (x *Exchange) Open(w http.ResponseWriter, r *http.Request, body *apireq.Body, facts *apireq.Facts, form bool) {
	*x = Exchange{
		w: w, control: *http.NewResponseController(w), r: r,
		repl: r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer),
		body: body, facts: facts, form: form,
		dialect: api.DialectOf(r.URL.Path),
		first:   x.first,
	}
	x.round = &x.own
}

// Committed tells whether the client has the head of an answer.
func (x *Exchange) Committed() bool { return x.committed }

// Close ends what the last attempt left open. It tells whether nobody but the caller
// has anything of the exchange and of what it was opened with.
func (x *Exchange) Close() bool {
	free := x.attempts == 1 && x.forks == nil && x.read() && x.first.sent()
	x.end()
	if free {
		x.first.forget()
		*x = Exchange{first: x.first}
	}
	return free
}

// end ends what the last attempt left open. The exchange may go on.
func (x *Exchange) end() {
	x.answer.close()
	if x.watch != nil {
		x.watch.stop()
		x.watch = nil
	}
	x.stream.free()
}

// read tells whether an answer over HTTP/1 has been read to its end: its connection has
// gone on to something else.
func (x *Exchange) read() bool {
	return x.answer.res != nil && x.answer.res.ProtoMajor == 1 && (x.answer.complete || x.stream.source.ended)
}

// next is the memory for the next attempt. What a transport was given it may go on
// using, unless the attempt went well.
func (x *Exchange) next() *outgoing {
	x.attempts++
	if x.attempts > 1 {
		return newOutgoing(x)
	}
	if x.first == nil {
		x.first = newOutgoing(x)
	}
	return x.first
}

// Attempt makes one round trip to a deployment and holds its answer back. The
// account of a good answer comes from Deliver.
func (x *Exchange) Attempt(ctx context.Context, a *engine.Attempt) engine.Outcome {
	x.account = account{}
	x.expectID(a)
	out := x.attempt(ctx, a)
	if out.Class == retry.None {
		a.AnswerID = x.answerID
		return out
	}
	return x.accounted(out)
}

func (x *Exchange) attempt(ctx context.Context, a *engine.Attempt) engine.Outcome {
	x.answer.close()
	if x.watch != nil {
		x.watch.stop()
	}
	o := x.next()
	x.watch = &o.watch
	x.watch.begin(ctx, a.Limit)
	d := deploymentOf(a)
	req, err := x.outgoing(x.watch.ctx, o, d, a)
	if err != nil {
		return x.failed(ctx, err)
	}
	x.setInRoundTrip(true)
	res, err := d.transport.RoundTrip(req)
	x.setInRoundTrip(false)
	if err != nil {
		return x.failed(ctx, err)
	}
	if res.StatusCode == http.StatusSwitchingProtocols { // what follows is no answer, and has no end
		res.Body.Close()
		return engine.Outcome{Class: retry.ServerError, Err: errSwitched}
	}
	x.answer = newAnswer(res, x.dialect)
	if !x.answer.good() {
		return x.refused(ctx, a)
	}
	a.Headroom = retry.ReadHeadroom(res.Header, time.Now)
	switch {
	case x.committed && !x.answer.streams:
		return engine.Outcome{Class: retry.ServerError, Final: true, Err: errors.New("the answer to go on with is not a stream")}
	case x.answer.streams:
		return x.holdStream(ctx, a)
	default:
		return x.holdWhole(ctx, a)
	}
}

func (x *Exchange) setInRoundTrip(on bool) {
	x.roundTrip.Lock()
	x.inRoundTrip = on
	x.roundTrip.Unlock()
}

// Deliver passes the good answer of the last attempt on to the client.
func (x *Exchange) Deliver(ctx context.Context, a *engine.Attempt) engine.Outcome {
	if !x.committed {
		x.writeHead(a)
	}
	if x.stream.transcript == nil && !x.raced { // nothing else will be tried, and a stream may last
		x.body.Release()
	}
	if !x.answer.complete { // there is something left to wait for
		x.watch.limit(a.Idle)
	}
	var out engine.Outcome
	if x.answer.streams {
		out = x.deliverStream(ctx, a)
	} else {
		out = x.deliverWhole(ctx)
	}
	if x.raced { // which the client is not to wait for
		x.control.Flush()
	}
	return x.accounted(out)
}

// failed tells what an error of the transport or of reading an answer means.
func (x *Exchange) failed(ctx context.Context, err error) engine.Outcome {
	class := retry.Connection
	switch {
	case ctx.Err() != nil:
		class = retry.Canceled
	case context.Cause(x.watch.ctx) == errLimit, isTimeout(err):
		class = retry.Timeout
	}
	return engine.Outcome{Class: class, Err: err}
}

// refused keeps an answer that is a failure, and tells which.
func (x *Exchange) refused(ctx context.Context, a *engine.Attempt) engine.Outcome {
	body, err := x.answer.readRefusal()
	if err != nil && ctx.Err() != nil {
		return engine.Outcome{Class: retry.Canceled, Err: err}
	}
	x.keep(a, body, err == nil)
	return x.classified(a, retry.Classify(x.answer.res.StatusCode, x.answer.res.Header, body), body)
}

// classified makes the outcome of an answer of a known class.
func (x *Exchange) classified(a *engine.Attempt, class retry.Class, body []byte) engine.Outcome {
	return judged(deploymentOf(a), class, x.answer.res.Header, body)
}

// judged makes the outcome of a deployment's answer of a known class.
func judged(d *Deployment, class retry.Class, header http.Header, body []byte) engine.Outcome {
	if class == retry.None { // a status that is no success and says nothing
		class = retry.ServerError
	}
	if class == retry.Auth && !d.ownKey {
		class = retry.ClientAuth
	}
	wait, stated := retry.Wait(header, body, time.Now())
	return engine.Outcome{
		Class: class, Wait: wait, Stated: stated,
		// A client that asks for a path that does not exist must not take every
		// deployment out.
		Blameless: class == retry.NotFound && !retry.NamesModel(body),
	}
}

func deploymentOf(a *engine.Attempt) *Deployment { return DeploymentOf(a.Candidate) }
