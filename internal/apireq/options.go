package apireq

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// OptionSet says which options a request may set for itself.
type OptionSet uint8

// The options, each with the fields of the body that it covers.
const (
	// OptionFallbacks covers fallbacks, context_window_fallbacks,
	// content_policy_fallbacks and disable_fallbacks.
	OptionFallbacks OptionSet = 1 << iota
	// OptionRetries covers num_retries.
	OptionRetries
	// OptionTimeout covers timeout, request_timeout and stream_timeout.
	OptionTimeout
	// OptionTags covers tags, and tags in metadata, which stay where they are.
	OptionTags
	// OptionMockTesting covers mock_testing_fallbacks and its siblings.
	OptionMockTesting
	// OptionPriority covers priority.
	OptionPriority
	// OptionRegion covers allowed_model_region.
	OptionRegion
	// OptionCache covers cache.
	OptionCache
)

// Mock is the failure that a request asks to have made up for it.
type Mock uint8

// The failures that can be asked for.
const (
	NoMock Mock = iota
	MockFailure
	MockContextWindow
	MockContentPolicy
	MockRateLimit
	MockTimeout
)

// Options are what a request asks of the router itself, in the fields that
// LiteLLM's clients send.
type Options struct {
	// Fallbacks are the models to move on to whatever the failure, when
	// FallbacksSet.
	Fallbacks    []string
	FallbacksSet bool
	// ContextWindowFallbacks and ContentPolicyFallbacks are those for one kind
	// of failure; nil is not set.
	ContextWindowFallbacks, ContentPolicyFallbacks []string
	// DisableFallbacks turns moving on to other models off.
	DisableFallbacks bool
	// Retries is the number of retries; -1 is not set.
	Retries int
	// Timeout bounds the request, StreamTimeout the wait for a stream's first
	// content; 0 is not set.
	Timeout, StreamTimeout time.Duration
	// Tags say what kind of request it is.
	Tags []string
	// Mock asks for a failure of the first pool.
	Mock Mock
	// Priority says how important the request is, when PrioritySet: the smaller,
	// the more.
	Priority    int
	PrioritySet bool
	// Region is the only one where the request may be served; empty is not set.
	Region string

	// Cache says what the cache of answers is to do.
	Cache CacheOptions

	models []string // the names of what the request asks for
}

// OptionError is an option that the router cannot take.
type OptionError struct {
	// Field is the field of the body at fault.
	Field string
	// Problem goes on with the sentence that the field begins.
	Problem string
}

func (e *OptionError) Error() string { return strconv.Quote(e.Field) + " " + e.Problem }

// TakeOptions reads the options that are allowed from a JSON body that ScanJSON
// has accepted, and gives the body without them; the body itself when it has
// none. models are the names of what the request asks for, for lists by model.
// A value of the wrong type is an *OptionError.
func TakeOptions(body []byte, allowed OptionSet, models ...string) (Options, []byte, error) {
	options := Options{Retries: -1, models: models}
	m, err := membersOf(body)
	if err != nil {
		return options, body, err
	}
	var rest []byte
	kept := 0 // what comes before it has been copied or dropped
	last := 0 // where the member before this one ended
	for m.next() {
		taken, err := options.take(string(m.key), body[m.start:m.end], allowed)
		if err != nil {
			return options, body, &OptionError{Field: string(m.key), Problem: err.Error()}
		}
		if taken {
			from, to := m.keyAt, m.end
			switch comma := skipSpace(body, m.end); {
			case body[comma] == ',': // goes with the member before it
				to = comma + 1
			case last > kept: // the last member takes the comma before it along
				from = last
			}
			if from < kept {
				from = kept
			}
			rest = append(rest, body[kept:from]...)
			kept = to
		}
		last = m.end
	}
	if m.err != nil || kept == 0 {
		return options, body, m.err
	}
	rest = append(rest, body[kept:]...)
	return options, trimComma(rest), nil
}

// ReadHeader reads the same options from the headers of LiteLLM's clients; the
// body's win. What is not a value of the option is left unread.
func (o *Options) ReadHeader(h http.Header, allowed OptionSet) {
	if n, err := strconv.Atoi(h.Get("X-Litellm-Num-Retries")); err == nil && n >= 0 && o.Retries < 0 && allowed&OptionRetries != 0 {
		o.Retries = min(n, maxOptionList)
	}
	if allowed&OptionTimeout != 0 {
		for name, into := range map[string]*time.Duration{"X-Litellm-Timeout": &o.Timeout, "X-Litellm-Stream-Timeout": &o.StreamTimeout} {
			if d, err := seconds([]byte(h.Get(name))); err == nil && *into == 0 {
				*into = d
			}
		}
	}
	if allowed&OptionTags == 0 {
		return
	}
	for tag := range strings.SplitSeq(h.Get("X-Litellm-Tags"), ",") {
		o.addTags([]string{tag})
	}
}

// addTags adds tags from one of the places where they may stand.
func (o *Options) addTags(tags []string) {
	for _, tag := range tags {
		if tag = strings.TrimSpace(tag); tag != "" && len(o.Tags) < maxOptionList {
			o.Tags = append(o.Tags, tag)
		}
	}
}

// trimComma drops the comma that is left when the last members of an object
// were taken.
func trimComma(body []byte) []byte {
	end := bytes.LastIndexByte(body, '}')
	before := len(bytes.TrimRight(body[:end], " \t\r\n"))
	if before == 0 || body[before-1] != ',' {
		return body
	}
	return append(body[:before-1], body[end:]...)
}

// take reads one member; false when it is none of the allowed options.
func (o *Options) take(key string, value []byte, allowed OptionSet) (taken bool, err error) {
	if optionFields[key]&allowed == 0 {
		return false, nil
	}
	switch key {
	case "fallbacks":
		o.Fallbacks, err = modelList(value, o.models)
		o.FallbacksSet = o.Fallbacks != nil
	case "context_window_fallbacks":
		o.ContextWindowFallbacks, err = modelList(value, o.models)
	case "content_policy_fallbacks":
		o.ContentPolicyFallbacks, err = modelList(value, o.models)
	case "disable_fallbacks":
		o.DisableFallbacks, err = boolean(value)
	case "num_retries":
		o.Retries, err = retries(value)
	case "timeout", "request_timeout":
		o.Timeout, err = seconds(value)
	case "stream_timeout":
		o.StreamTimeout, err = seconds(value)
	case "tags":
		var tags []string
		tags, err = texts(value)
		o.addTags(tags)
	case "metadata":
		var metadata struct{ Tags []string }
		if json.Unmarshal(value, &metadata) == nil && len(metadata.Tags) <= maxOptionList {
			o.addTags(metadata.Tags)
		}
		return false, nil // the upstream may want it too
	case "allowed_model_region":
		o.Region, err = region(value)
	case "cache":
		o.Cache, err = cacheOptions(value)
	case "priority":
		o.Priority, o.PrioritySet, err = priority(value)
	default:
		var on bool
		if on, err = boolean(value); on {
			o.Mock = mocks[key]
		}
	}
	return true, err
}

// optionFields are the fields of the body by the option that covers them.
var optionFields = map[string]OptionSet{
	"fallbacks": OptionFallbacks, "context_window_fallbacks": OptionFallbacks,
	"content_policy_fallbacks": OptionFallbacks, "disable_fallbacks": OptionFallbacks,
	"num_retries": OptionRetries,
	"timeout":     OptionTimeout, "request_timeout": OptionTimeout, "stream_timeout": OptionTimeout,
	"tags": OptionTags, "metadata": OptionTags,
	"mock_testing_fallbacks": OptionMockTesting, "mock_testing_context_fallbacks": OptionMockTesting,
	"mock_testing_context_window_fallbacks": OptionMockTesting, "mock_testing_content_policy_fallbacks": OptionMockTesting,
	"mock_testing_rate_limit_error": OptionMockTesting, "mock_timeout": OptionMockTesting,
	"priority": OptionPriority, "allowed_model_region": OptionRegion,
	"cache": OptionCache,
}

var mocks = map[string]Mock{
	"mock_testing_fallbacks":                MockFailure,
	"mock_testing_context_fallbacks":        MockContextWindow,
	"mock_testing_context_window_fallbacks": MockContextWindow,
	"mock_testing_content_policy_fallbacks": MockContentPolicy,
	"mock_testing_rate_limit_error":         MockRateLimit,
	"mock_timeout":                          MockTimeout,
}
