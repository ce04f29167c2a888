package cache

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestEncodedEntries(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_123)
	e := &Entry{
		ContentType: "text/event-stream; charset=utf-8", Deployment: "gpu-1", Body: []byte("data: [DONE]\n\n"),
		Stored: now, Expires: now.Add(time.Hour),
	}
	data := e.Encode(key)
	got, err := Decode(key, data)
	if err != nil {
		t.Fatal(err)
	}
	if got.ContentType != e.ContentType || got.Deployment != e.Deployment || !bytes.Equal(got.Body, e.Body) ||
		!got.Stored.Equal(e.Stored) || !got.Expires.Equal(e.Expires) {
		t.Errorf("got %+v, want %+v", got, e)
	}
	t.Run("under another key", func(t *testing.T) {
		if _, err := Decode(Key{7}, data); err == nil {
			t.Error("it is understood, want it foreign")
		}
	})
	t.Run("of another version", func(t *testing.T) {
		other := bytes.Clone(data)
		other[0]++
		if _, err := Decode(key, other); err == nil {
			t.Error("it is understood, want it foreign")
		}
	})
	t.Run("cut", func(t *testing.T) {
		for n := range len(data) - len(e.Body) {
			if _, err := Decode(key, data[:n]); err == nil {
				t.Errorf("%d bytes of it are understood, want them foreign", n)
			}
		}
	})
	for name, bad := range map[string]Entry{
		"a type that is not kept": {ContentType: "text/html"},
		"a header in the type":    {ContentType: "application/json\r\nX: y"},
		"a header in the name":    {ContentType: "application/json", Deployment: "a\nb"},
		"a type without end":      {ContentType: "application/json;" + strings.Repeat("x", maxText)},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Decode(key, bad.Encode(key)); err == nil {
				t.Errorf("got %+v, want it foreign", got)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	now := time.UnixMilli(1_800_000_000_123)
	f.Add((&Entry{ContentType: "application/json", Deployment: "a", Body: []byte("{}"), Stored: now, Expires: now}).Encode(key))
	f.Add((&Entry{ContentType: "text/event-stream", Stored: now, Expires: now}).Encode(key))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Decode(key, data)
		if err != nil {
			return
		}
		again, err := Decode(key, e.Encode(key))
		if err != nil || again.ContentType != e.ContentType || !bytes.Equal(again.Body, e.Body) || !again.Expires.Equal(e.Expires) {
			t.Errorf("%q: got %+v, and after another turn %+v (%v)", data, e, again, err)
		}
	})
}

func TestSoundEntries(t *testing.T) {
	for name, tt := range map[string]struct {
		contentType, body string
		want              bool
	}{
		"an answer":             {"application/json", `{"choices":[]}`, true},
		"an answer, in UTF-8":   {"application/json; charset=utf-8", `{"error":null,"status":"completed"}`, true},
		"a list":                {"application/json", `[{"index":0}]`, true},
		"a stream":              {"text/event-stream", "data: [DONE]\n\n", true},
		"an error":              {"application/json", `{"error":{"message":"no"}}`, false},
		"a failure":             {"application/json", `{"status":"failed"}`, false},
		"one that goes on":      {"application/json", `{"status":"in_progress"}`, false},
		"a choice that failed":  {"application/json", `{"choices":[{"finish_reason":"stop"},{"text":"a","finish_reason":"error"}]}`, false},
		"an error in a choice":  {"application/json", `{"choices":[{"finish_reason":"stop","error":{"code":502}}]}`, false},
		"choices that are good": {"application/json", `{"choices":[{"error":null,"finish_reason":"length"},"error"]}`, true},
		"half an answer":        {"application/json", `{"choices":[`, false},
		"a number":              {"application/json", `1`, false},
		"nothing":               {"application/json", ``, false},
		"a page":                {"text/html", `<html>`, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := Entry{ContentType: tt.contentType, Body: []byte(tt.body)}
			if got := e.Sound(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestReadWishes(t *testing.T) {
	for value, want := range map[string]Wishes{
		"":                         {MaxAge: -1},
		"no-cache":                 {MaxAge: -1, NoRead: true},
		"No-Store":                 {MaxAge: -1, NoKeep: true},
		"no-store, no-cache":       {MaxAge: -1, NoKeep: true, NoRead: true},
		"max-age=60":               {MaxAge: time.Minute},
		`max-age="60", public`:     {MaxAge: time.Minute},
		"max-age=0":                {},
		"max-age=-1":               {MaxAge: -1},
		"max-age=9999999999999999": {MaxAge: maxSeconds * time.Second},
		"only-if-cached":           {MaxAge: -1},
	} {
		if got := ReadWishes(http.Header{"Cache-Control": {value}}); got != want {
			t.Errorf("%q: got %+v, want %+v", value, got, want)
		}
	}
}
