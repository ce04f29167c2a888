package wholepath

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
	"github.com/llmrouter/caddy-llm-router/internal/status"
)

const observabilityPage = "docs/observability.md"

var (
	metricRow    = regexp.MustCompile("(?m)^\\| `caddy_llm_router_([a-z_]+)` \\| (\\w+) \\| (.*?) \\|")
	metricName   = regexp.MustCompile(`caddy_llm_router_([a-z_]+[a-z])`)
	metricType   = regexp.MustCompile(`(?m)^# TYPE caddy_llm_router_([a-z_]+) (\w+)$`)
	metricSuffix = regexp.MustCompile(`_(bucket|count|sum)$`)
	labelName    = regexp.MustCompile(`([a-z_]+)="`)
)

// The table has every metric of the page, with its type and labels, and no other.
// Nor does any document name another.
func TestDocumentedMetricsAreThoseOfThePage(t *testing.T) {
	f := chatFormat
	a := scripted.New(t).Always(f.send(0, withUsage(f.events("one ", "two"))...))
	s := caddyharness.Load(t, observed(withFallback(a, a, "affinity auto\ncache 1h")))
	ask(t, s, chatPath, `{"stream_options":{"include_usage":true},`+streamed[1:]) // histograms come with what they observe
	text := send(t, s, "GET", ":8081/metrics", "", nil).body
	types, labels := map[string]string{"redis_up": "gauge"}, make(map[string][]string)
	for _, match := range metricType.FindAllStringSubmatch(text, -1) {
		types[match[1]] = match[2]
	}
	for name := range scrape(t, s) {
		family, set, _ := strings.Cut(name, "{")
		var names []string
		for _, match := range labelName.FindAllStringSubmatch(set, -1) {
			if match[1] != "le" {
				names = append(names, match[1])
			}
		}
		slices.Sort(names)
		labels[metricSuffix.ReplaceAllString(family, "")] = names
	}
	documented := make(map[string]bool)
	for _, row := range metricRow.FindAllStringSubmatch(readDoc(t, observabilityPage), -1) {
		name, kind := row[1], row[2]
		documented[name] = true
		var names []string
		for _, match := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[3], -1) {
			names = append(names, match[1])
		}
		slices.Sort(names)
		if kind != types[name] || !slices.Equal(names, labels[name]) {
			t.Errorf("%s: got %s with %q in the table, want %s with %q", name, kind, names, types[name], labels[name])
		}
	}
	for name := range types {
		if !documented[name] {
			t.Errorf("the table lacks %s", name)
		}
	}
	for _, match := range metricName.FindAllStringSubmatch(allDocs(t), -1) {
		if name := match[1]; !documented[name] && !documented[metricSuffix.ReplaceAllString(name, "")] {
			t.Errorf("got the metric caddy_llm_router_%s in the documents, which does not exist", name)
		}
	}
}

// The example of a status has every field, and the tables describe every field
// and every state.
func TestDocumentedStatusIsThatOfTheCode(t *testing.T) {
	example := blockWith(t, observabilityPage, `"cooldown_remaining_ms": 4230`)
	decoder := json.NewDecoder(strings.NewReader(example))
	decoder.DisallowUnknownFields()
	var s status.Status
	if err := decoder.Decode(&s); err != nil {
		t.Fatalf("got %v, want a status", err)
	}
	_, section, _ := strings.Cut(readDoc(t, observabilityPage), "## Status")
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			if !strings.Contains(example, `"`+name+`":`) {
				t.Errorf("the example lacks %s", name)
			}
			if name != "pools" && name != "deployments" && !strings.Contains(section, "`"+name+"`") {
				t.Errorf("no table describes %s", name)
			}
			walk(typ.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[status.Status]())
	for _, state := range status.States {
		if !strings.Contains(section, fmt.Sprintf("\n| `%s` |", state)) {
			t.Errorf("no row describes the state %s", state)
		}
	}
}

// Every line of the router's own log is in the table, with its level.
func TestDocumentedLogLinesAreThoseOfTheCode(t *testing.T) {
	page := readDoc(t, observabilityPage)
	found := regexp.MustCompile(`logger\.(?:Check\(zap(?:core)?\.)?(Debug|Info|Warn)(?:Level, |\()"([^"]+)"`).FindAllStringSubmatch(sources(t, "."), -1)
	if len(found) < 5 {
		t.Fatalf("got %d lines in the code, want some", len(found))
	}
	for _, match := range found {
		level, msg := strings.ToLower(match[1]), match[2]
		if strings.HasPrefix(msg, "the shared state") || strings.HasPrefix(msg, "a value in the shared state") {
			continue // of the app, in docs/state.md
		}
		quote := "`"
		if strings.Contains(msg, "`") {
			quote = "``"
		}
		if row := "\n| " + level + " | " + quote + msg + quote + " |"; !strings.Contains(page, row) {
			t.Errorf("got no row %s in the table of log lines", row)
		}
	}
}
