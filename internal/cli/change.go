package cli

// change is what is new about who served a request.
type change string

const (
	// noChange is the same deployment as last time, or no answer.
	noChange change = ""
	// failover is another deployment or pool in place of the one before.
	failover change = "failover"
	// recovery is the one that served first, after a failover.
	recovery change = "recovery"
	// shift is another deployment of the same pool although nothing failed, as
	// when a pool shares its load.
	shift change = "shift"
)

// server is who served a request, as far as the answer says.
type server struct{ Pool, Deployment, Model string }

// String names the server in one word: pool/deployment where the router says
// so, else the model.
func (s server) String() string {
	switch {
	case s.Pool != "" && s.Deployment != "":
		return s.Pool + "/" + s.Deployment
	case s.Deployment != "":
		return s.Deployment
	case s.Pool != "":
		return s.Pool
	}
	return orDash(s.Model)
}

func (r *result) server() server { return server{r.Pool, r.Deployment, r.Model} }

// place is the server without its model where it is known otherwise: one
// deployment may well name its model now like this, now like that.
func (s server) place() server {
	if s.Pool != "" || s.Deployment != "" {
		s.Model = ""
	}
	return s
}

// history compares each answer with those before it.
type history struct {
	served     bool   // at least one request was
	last       server // who served last
	home       server // who served first, on first choice
	settled    bool   // home is known
	failedOver bool   // since home served
}

// observe tells what is new about a result, and who served before. Requests
// that failed change nothing.
func (h *history) observe(r *result) (change, server) {
	if !r.ok() {
		return noChange, server{}
	}
	now, before, first := r.server().place(), h.last, !h.served
	h.served, h.last = true, now
	what := h.compare(r, now, before, first)
	switch what {
	case failover:
		h.failedOver = true
	case recovery:
		h.failedOver = false
	}
	if !h.settled && !r.moved() {
		h.home, h.settled = now, true
	}
	return what, before
}

func (h *history) compare(r *result, now, before server, first bool) change {
	switch {
	case first && r.fellBack():
		return failover
	case first, now == before: // attempts alone may be retries
		return noChange
	case h.failedOver && now == h.home, !h.settled && !r.moved():
		return recovery
	case r.moved(), now.Pool != before.Pool, now.Deployment == before.Deployment:
		return failover
	}
	return shift
}
