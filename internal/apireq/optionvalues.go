package apireq

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxOptionList bounds lists and numbers that come from a client.
const maxOptionList = 32

// errOption is an option of the wrong type.
var errOption = errors.New("is not what the router expects of it")

// modelList reads the ways in which clients name fallbacks: a list of names, of
// objects {"model": name}, or of objects {model asked for: [names]}, of which
// those for "*" hold where none is for the model. An object that would change
// more than the model is refused: the router sends the body as it is.
func modelList(value []byte, models []string) ([]string, error) {
	if string(value) == "null" {
		return nil, nil
	}
	var entries []json.RawMessage
	if json.Unmarshal(value, &entries) != nil || len(entries) > maxOptionList {
		return nil, errOption
	}
	list, rest, found := []string{}, []string(nil), false
	for _, entry := range entries {
		if name, ok := modelName(entry); ok {
			list = append(list, name)
			continue
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(entry, &object) != nil || len(object) != 1 {
			return nil, errOption
		}
		for of, raw := range object {
			if name, ok := modelName(raw); ok && of == "model" {
				list = append(list, name)
				continue
			}
			names, err := modelNames(raw)
			switch {
			case err != nil:
				return nil, err
			case slices.Contains(models, of):
				list, found = append(list, names...), true
			case of == "*":
				rest = append(rest, names...)
			}
		}
	}
	if !found {
		list = append(list, rest...)
	}
	if len(list) > maxOptionList {
		return nil, errOption
	}
	return list, nil
}

// region reads the name of a region; null is not set.
func region(value []byte) (string, error) {
	if string(value) == "null" {
		return "", nil
	}
	name, ok := modelName(value)
	if !ok {
		return "", errOption
	}
	return name, nil
}

// modelName reads a name that may be a model's.
func modelName(value []byte) (name string, ok bool) {
	if value[0] != '"' || json.Unmarshal(value, &name) != nil {
		return "", false
	}
	_, err := checkModel([]byte(name))
	return name, err == nil && name != ""
}

func modelNames(value []byte) ([]string, error) {
	var entries []json.RawMessage
	if json.Unmarshal(value, &entries) != nil || entries == nil || len(entries) > maxOptionList {
		return nil, errOption
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		var ok bool
		if names[i], ok = modelName(entry); !ok {
			return nil, errOption
		}
	}
	return names, nil
}

func texts(value []byte) ([]string, error) {
	if string(value) == "null" {
		return nil, nil
	}
	var list []string
	if json.Unmarshal(value, &list) != nil || len(list) > maxOptionList {
		return nil, errOption
	}
	return list, nil
}

func boolean(value []byte) (bool, error) {
	switch string(value) {
	case "true":
		return true, nil
	case "false", "null":
		return false, nil
	}
	return false, errOption
}

func retries(value []byte) (int, error) {
	if string(value) == "null" {
		return -1, nil
	}
	n, err := strconv.Atoi(string(value))
	if err != nil || n < 0 {
		return -1, errOption
	}
	return min(n, maxOptionList), nil
}

func priority(value []byte) (n int, set bool, err error) {
	if string(value) == "null" {
		return 0, false, nil
	}
	if n, set = ParsePriority(string(value)); !set {
		err = errOption
	}
	return n, set, err
}

// MaxPriority is how far a priority may be from 0, on either side.
const MaxPriority = 1_000_000

// ParsePriority reads a priority: a whole number of at most MaxPriority on either
// side of 0. Anything else is false.
func ParsePriority(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	if err != nil || n < -MaxPriority || n > MaxPriority {
		return 0, false
	}
	return n, true
}

func seconds(value []byte) (time.Duration, error) {
	if string(value) == "null" {
		return 0, nil
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(string(value)), 64)
	if err != nil || !(f > 0) || f > math.MaxInt64/float64(time.Second) {
		return 0, errOption
	}
	return time.Duration(f * float64(time.Second)), nil
}
