package apireq

import (
	"encoding/json"
	"time"
)

// CacheOptions are what a request wants of the cache of answers.
type CacheOptions struct {
	// NoCache asks for a new answer, NoStore that it is not kept.
	NoCache, NoStore bool
	// TTL is how long the answer is to be kept; 0 is not set.
	TTL time.Duration
	// MaxAge is how old an answer may be, when MaxAgeSet.
	MaxAge    time.Duration
	MaxAgeSet bool
	// Namespace keeps answers apart.
	Namespace string
}

// maxNamespace is the longest namespace, in bytes.
const maxNamespace = 256

// cacheOptions reads the object that LiteLLM's clients send. What they may say
// beside this means nothing here.
func cacheOptions(value []byte) (o CacheOptions, err error) {
	if string(value) == "null" {
		return o, nil
	}
	var fields struct {
		NoCache   bool            `json:"no-cache"`
		NoStore   bool            `json:"no-store"`
		TTL       json.RawMessage `json:"ttl"`
		MaxAge    json.RawMessage `json:"s-maxage"`
		Namespace string          `json:"namespace"`
	}
	if json.Unmarshal(value, &fields) != nil || len(fields.Namespace) > maxNamespace {
		return o, errOption
	}
	o.NoCache, o.NoStore, o.Namespace = fields.NoCache, fields.NoStore, fields.Namespace
	ttl, ttlSet, err := age(fields.TTL)
	if err != nil {
		return o, err
	}
	o.TTL, o.NoStore = ttl, o.NoStore || ttlSet && ttl == 0
	o.MaxAge, o.MaxAgeSet, err = age(fields.MaxAge)
	return o, err
}

// age reads a number of seconds, which may be 0.
func age(value json.RawMessage) (d time.Duration, set bool, err error) {
	switch string(value) {
	case "", "null":
		return 0, false, nil
	case "0":
		return 0, true, nil
	}
	d, err = seconds(value)
	return d, err == nil, err
}
