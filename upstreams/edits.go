package upstreams

import (
	"bytes"
	"mime"
	"strconv"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
)

// edits are the changes of the client's body for one attempt.
func (x *Exchange) edits(d *Deployment, a *engine.Attempt) (edits apireq.Edits) {
	x.hidesUsage = false
	model := d.modelFor(a.Target.Model, a.Target.Star)
	if x.form {
		x.editForm(&edits, model)
		return edits
	}
	var added []byte // members that the body has not, each with a comma
	switch {
	case x.facts.ModelStart < 0:
		added = appendMember(added, "model", apireq.JSONString(model))
	case model != x.facts.Model:
		edits.Replace(x.facts.ModelStart, x.facts.ModelEnd, apireq.JSONString(model))
	}
	if d.PassPriority {
		priority, set := a.Priority()
		added = x.editPriority(&edits, added, priority, set)
	}
	if x.mayAskUsage(a) {
		added = x.askUsage(&edits, added)
	}
	if len(added) > 0 {
		insertMembers(&edits, x.body.Bytes(), added)
	}
	return edits
}

// editPriority sends the request's own priority, and never one that the client
// wrote there.
func (x *Exchange) editPriority(edits *apireq.Edits, added []byte, priority int, set bool) []byte {
	switch at := x.facts.Priority; {
	case at != apireq.Span{}:
		edits.Replace(at.Start, at.End, strconv.AppendInt(nil, int64(priority), 10))
	case set:
		return appendMember(added, "priority", strconv.AppendInt(nil, int64(priority), 10))
	}
	return added
}

// mayAskUsage tells whether the upstream may be asked for an event that the client
// did not ask for.
func (x *Exchange) mayAskUsage(a *engine.Attempt) bool {
	return a.Target.Pool.Policy.UsageInStream && x.facts.Stream && (x.dialect == api.Chat || x.dialect == api.Completions)
}

func (x *Exchange) askUsage(edits *apireq.Edits, added []byte) []byte {
	at, value, ok := x.facts.AskUsage(x.body.Bytes())
	switch x.hidesUsage = ok; {
	case !ok:
	case at == apireq.Span{}:
		return appendMember(added, "stream_options", value)
	default:
		edits.Replace(at.Start, at.End, value)
	}
	return added
}

func appendMember(dst []byte, key string, value []byte) []byte {
	dst = append(append(append(dst, '"'), key...), `":`...)
	return append(append(dst, value...), ',')
}

// insertMembers puts members, the last with a comma too, in front of those of a
// JSON object.
func insertMembers(edits *apireq.Edits, object, members []byte) {
	start := bytes.IndexByte(object, '{') + 1
	if next := bytes.TrimLeft(object[start:], " \t\r\n"); len(next) > 0 && next[0] == '}' {
		members = members[:len(members)-1]
	}
	edits.Replace(start, start, members)
}

// editForm sets the model of a form.
func (x *Exchange) editForm(edits *apireq.Edits, model string) {
	switch {
	case x.facts.ModelStart < 0:
		x.insertModelPart(edits, model)
	case model != x.facts.Model:
		edits.Replace(x.facts.ModelStart, x.facts.ModelEnd, []byte(model))
	}
}

// insertModelPart puts a part with the model before the first one of a form that
// has none.
func (x *Exchange) insertModelPart(edits *apireq.Edits, model string) {
	_, params, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type")) // which has been parsed before
	delimiter := "--" + params["boundary"]
	start := max(bytes.Index(x.body.Bytes(), []byte(delimiter)), 0)
	edits.Replace(start, start, []byte(delimiter+"\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n"+model+"\r\n"))
}
