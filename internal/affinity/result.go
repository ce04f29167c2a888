package affinity

// Result tells what affinity did for a request.
type Result uint8

const (
	// Off: the request was not answered, or in a pool that keeps no sessions.
	Off Result = iota
	// Hit: the deployment that the session was on has answered.
	Hit
	// Moved: another one has, because that one was not usable or has failed.
	Moved
	// New: the session was on none yet, or was not heard of for too long.
	New
	// None: the request names no session.
	None
	numResults
)

var resultNames = [numResults]string{Hit: "hit", Moved: "moved", New: "new", None: "none"}

// String is the name of the result, as operators see it; empty for Off.
func (r Result) String() string { return resultNames[r] }

// Results are all that a pool that keeps sessions has.
func Results() []Result { return []Result{Hit, Moved, New, None} }
