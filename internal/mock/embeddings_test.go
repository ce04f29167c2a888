package mock

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/tidwall/gjson"
)

func vectors(t *testing.T, body string) [][]float32 {
	t.Helper()
	_, answer := send(t, &Transport{}, "POST", "/v1/embeddings", body)
	var out [][]float32
	for _, e := range gjson.Get(answer, "data.#.embedding").Array() {
		var v []float32
		for _, x := range e.Array() {
			v = append(v, float32(x.Num))
		}
		out = append(out, v)
	}
	return out
}

func TestOneVectorPerInput(t *testing.T) {
	tests := []struct {
		name, input string
		want        int
	}{
		{"a string", `"a"`, 1},
		{"strings", `["a","b","c"]`, 3},
		{"token ids", `[1,2,3]`, 1},
		{"lists of token ids", `[[1,2],[3]]`, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := len(vectors(t, `{"model":"m","input":`+tt.input+`}`)); got != tt.want {
				t.Errorf("got %d vectors, want %d", got, tt.want)
			}
		})
	}
}

func TestVectorsDependOnTheInputAlone(t *testing.T) {
	first := vectors(t, `{"model":"m","input":["a","b"]}`)
	again := vectors(t, `{"model":"m","input":["b","a"]}`)
	if !slices.Equal(first[0], again[1]) || !slices.Equal(first[1], again[0]) {
		t.Errorf("got %v and %v, want the same vectors swapped", first, again)
	}
	if slices.Equal(first[0], first[1]) {
		t.Errorf("got the same vector %v for two inputs", first[0])
	}
	var sum float64
	for _, x := range first[0] {
		sum += float64(x) * float64(x)
	}
	if math.Abs(sum-1) > 1e-5 {
		t.Errorf("got a vector of squared length %v, want 1", sum)
	}
}

func TestDimensions(t *testing.T) {
	if got := len(vectors(t, `{"model":"m","input":"a","dimensions":256}`)[0]); got != 256 {
		t.Errorf("got %d dimensions, want 256", got)
	}
}

func TestBase64EncodesTheSameVector(t *testing.T) {
	want := vectors(t, `{"model":"m","input":"a"}`)[0]
	_, answer := send(t, &Transport{}, "POST", "/v1/embeddings", `{"model":"m","input":"a","encoding_format":"base64"}`)
	raw, err := base64.StdEncoding.DecodeString(gjson.Get(answer, "data.0.embedding").Str)
	if err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	var got []float32
	for ; len(raw) >= 4; raw = raw[4:] {
		got = append(got, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
