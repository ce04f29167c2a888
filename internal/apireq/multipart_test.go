package apireq

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"strings"
	"testing"
)

// form writes a form by hand: CRLF line ends, boundary "B", and one part for
// each pair of header and value.
func form(parts ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(parts); i += 2 {
		b.WriteString("--B\r\n" + parts[i] + "\r\n\r\n" + parts[i+1] + "\r\n")
	}
	return b.String() + "--B--\r\n"
}

// named is the header of a form field.
func named(name string) string { return `Content-Disposition: form-data; name="` + name + `"` }

func TestScanMultipart(t *testing.T) {
	file := named("file") + "; filename=\"a.wav\"\r\nContent-Type: audio/wav"
	for _, tt := range []struct {
		name, body string
		want       Facts // spans are checked by content
	}{
		{"no part", form(), Facts{}},
		{"no model", form(named("x"), "y"), Facts{}},
		{"the model first", form(named("model"), "whisper-1", file, "RIFF\r\n--B2\r\n\x00"), Facts{Model: "whisper-1"}},
		{"the model last", form(file, strings.Repeat("\r\n--Bx\x00", 999), named("model"), "whisper-1"), Facts{Model: "whisper-1"}},
		{"an empty model", form(named("model"), ""), Facts{}},
		{"a stream", form(named("stream"), "true"), Facts{Stream: true, StreamSet: true}},
		{"a stream as curl users write it", form(named("stream"), "True"), Facts{Stream: true, StreamSet: true}},
		{"no stream", form(named("stream"), "false"), Facts{StreamSet: true}},
		{"choices and a prompt", form(named("n"), "3", named("prompt"), "a cat"), Facts{Choices: 3, PromptBytes: 5}},
		{"a bare name", form("content-disposition: form-data; name=model", "a"), Facts{Model: "a"}},
		{"a folded header", form("Content-Disposition: form-data;\r\n name=\"model\"", "a"), Facts{Model: "a"}},
		{"more headers", form("X: y\r\n"+named("model")+"\r\nContent-Type: text/plain", "a"), Facts{Model: "a"}},
		{"a file called model", form(named("model")+`; filename="m.bin"`, "a", named("model"), "b"), Facts{Model: "b"}},
		{"a file with an encoded name", form(named("file")+`; filename*=UTF-8''model`, "a", named("model"), "b"), Facts{Model: "b"}},
		{"an empty file", form(named("mask")+`; filename=""`, "", named("model"), "b"), Facts{Model: "b"}},
		{"a part without a name", form("X: y", "a", named("model"), "b"), Facts{Model: "b"}},
		{"a preamble", "model\r\n--C\r\n" + form(named("model"), "a"), Facts{Model: "a"}},
		{"an epilogue", form(named("model"), "a") + form(named("model"), "b"), Facts{Model: "a"}},
		{"padded boundary lines", "--B \t\r\n" + named("model") + "\r\n\r\na\r\n--B-- \r\n", Facts{Model: "a"}},
		{"no line break at the end", strings.TrimSuffix(form(named("model"), "a"), "\r\n"), Facts{Model: "a"}},
		{"bare line feeds", strings.ReplaceAll(form(named("model"), "a", named("x"), "y"), "\r\n", "\n"), Facts{Model: "a"}},
		{"an empty value without its line break", "--B\r\n" + named("model") + "\r\n\r\n--B--", Facts{}},
		{"a model deeper down", form(named("file")+`; filename="x"`, "\r\n--C\r\n"+named("model")+"\r\n\r\na\r\n--C--"), Facts{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ScanMultipart([]byte(tt.body), "B")
			if err != nil {
				t.Fatalf("got %v, want no error", err)
			}
			if got.ModelStart >= 0 && tt.body[got.ModelStart:got.ModelEnd] != tt.want.Model {
				t.Errorf("got span %q, want %q", tt.body[got.ModelStart:got.ModelEnd], tt.want.Model)
			}
			hasModel := got.ModelStart >= 0
			if want := tt.want.Model != "" || strings.Contains(tt.name, "an empty model") || strings.Contains(tt.name, "an empty value"); hasModel != want {
				t.Errorf("got a model: %v, want %v", hasModel, want)
			}
			tt.want.ModelStart, tt.want.ModelEnd = got.ModelStart, got.ModelEnd
			tt.want.Choices = max(tt.want.Choices, 1)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestScanMultipartRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       error
	}{
		{"nothing", "", ErrUnterminated},
		{"no boundary", "model=a", ErrUnterminated},
		{"two models", form(named("model"), "a", named("x"), "", named("model"), "a"), ErrModelTwice},
		{"Model", form(named("Model"), "a"), ErrModelKey},
		{"a model with a space", form(named("model "), "a"), ErrModelKey},
		{"two streams", form(named("stream"), "true", named("stream"), "false"), ErrStreamTwice},
		{"STREAM", form(named("STREAM"), "true"), ErrStreamKey},
		{"a stream that is no boolean", form(named("stream"), "maybe"), ErrStreamType},
		{"a long stream", form(named("stream"), strings.Repeat("1", 1000)), ErrStreamType},
		{"a model of two lines", form(named("model"), "a\r\nb"), ErrModelText},
		{"invalid UTF-8", form(named("model"), "\xff"), ErrModelText},
		{"a long model", form(named("model"), strings.Repeat("a", MaxModelLen+1)), ErrModelLong},
		{"no last boundary", "--B\r\n" + named("model") + "\r\n\r\na", ErrUnterminated},
		{"a last boundary without dashes", "--B\r\n" + named("model") + "\r\n\r\na\r\n--B", ErrUnterminated},
		{"a last boundary with one dash", "--B\r\n" + named("model") + "\r\n\r\na\r\n--B-", ErrUnterminated},
		{"a header that does not end", "--B\r\n" + named("model") + "\r\n", ErrUnterminated},
		{"a header cut short", "--B\r\n" + named("model"), ErrUnterminated},
		{"a boundary line with text", "--B\r\n" + named("model") + "\r\n\r\na\r\n--B x\r\n\r\n--B--", ErrForm},
		{"another kind of line end", "--B\r\n" + named("model") + "\r\n\r\na\r\n--B\n" + named("model") + "\r\n\r\nb\r\n--B--", ErrForm},
		{"a header line without a colon", form("nonsense", "a"), ErrPartHeader},
		{"a header that begins with a space", form(" "+named("model"), "a"), ErrPartHeader},
		{"a space before the colon", form(`Content-Disposition : form-data; name="model"`, "a"), ErrPartHeader},
		{"two dispositions", form(named("x")+"\r\n"+named("model"), "a"), ErrPartHeader},
		{"another disposition", form(`Content-Disposition: attachment; name="model"`, "a"), ErrPartHeader},
		{"two names", form(named("x")+`; name="model"`, "a"), ErrPartHeader},
		{"an open quote", form(`Content-Disposition: form-data; name="model`, "a"), ErrPartHeader},
		{"an encoded name", form(named("model")+`; name*=utf-8''x`, "a"), ErrPartHeader},
		{"a name in pieces", form(`Content-Disposition: form-data; name*0="mod"; name*1="el"`, "a"), ErrPartHeader},
		{"an encoded name after a file name", form(`Content-Disposition: form-data; filename*=utf-8''x; NAME*=utf-8''model`, "a"), ErrPartHeader},
		{"an escaped name", form(named(`mod\el`), "a"), ErrPartHeader},
		{"a model with an empty file name", form(named("model")+`; filename=""`, "a"), ErrPartHeader},
		{"an encoded model", form(named("model")+"\r\nContent-Transfer-Encoding: base64", "YQ=="), ErrPartHeader},
		{"a quoted-printable stream", form(named("stream")+"\r\nContent-Transfer-Encoding: Quoted-Printable", "=74rue"), ErrPartHeader},
		{"a large header", form(named("x")+"\r\nX: "+strings.Repeat("y", maxPartHeader), "a"), ErrPartHeader},
		{"a header of many lines", form(named("x")+strings.Repeat("\r\nX: y", maxPartHeader), "a"), ErrPartHeader},
		{"too many parts", strings.Repeat("--B\r\n\r\n\r\n", maxParts+1) + "--B--", ErrTooManyParts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := ScanMultipart([]byte(tt.body), "B")
			var at *ScanError
			if !errors.As(err, &at) || !errors.Is(err, tt.want) || at.Offset < 0 || at.Offset > len(tt.body) {
				t.Errorf("got %v, want %v within the body", err, tt.want)
			}
			if f != newFacts() {
				t.Errorf("got facts %+v of a refused body, want none", f)
			}
		})
	}
}

func TestScanMultipartLimitsAreInclusive(t *testing.T) {
	if _, err := ScanMultipart([]byte(strings.Repeat("--B\r\n\r\n\r\n", maxParts)+"--B--"), "B"); err != nil {
		t.Errorf("%d parts: got %v, want no error", maxParts, err)
	}
	head := named("model") + "\r\nX: "
	head += strings.Repeat("y", maxPartHeader-len(head)-len("\r\n\r\n"))
	if f, err := ScanMultipart([]byte(form(head, "a")), "B"); err != nil || f.Model != "a" {
		t.Errorf("a header of 16 KiB: got %q, %v, want a", f.Model, err)
	}
}

func TestScanMultipartBoundary(t *testing.T) {
	for boundary, ok := range map[string]bool{
		"": false, "B": true, strings.Repeat("B", 70): true, strings.Repeat("B", 71): false, "a b": true, "a ": false,
		"a\r\nb": false, "ä": false, "\x00": false, "----WebKitFormBoundary7MA4YWxkTrZu0gW": true, "'()+_,-./:=?": true,
	} {
		body := strings.ReplaceAll(form(named("model"), "a"), "--B", "--"+boundary)
		_, err := ScanMultipart([]byte(body), boundary)
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrBoundary) {
			t.Errorf("%q: got %v, want accepted: %v", boundary, err, ok)
		}
	}
}

// mimeFields reads a form with mime/multipart: the values of its fields by name.
// certain is false when the form has something that ScanMultipart is stricter
// about on purpose, so that it may be refused.
func mimeFields(body []byte, boundary string) (fields map[string][]string, certain bool, err error) {
	fields, certain = map[string][]string{}, true
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for n := 0; ; n++ {
		part, err := r.NextRawPart()
		if err == io.EOF {
			return fields, certain && n <= maxParts, nil
		}
		if err != nil {
			return nil, certain, err
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, certain, err
		}
		header := 0
		for key, values := range part.Header {
			for _, v := range values {
				header += len(key) + len(v)
			}
		}
		if _, ok := readPartHeader(part.Header); !ok || header > maxPartHeader/4 {
			certain = false
		}
		if name := part.FormName(); name != "" && part.FileName() == "" {
			fields[name] = append(fields[name], string(value))
		}
	}
}

func FuzzScanMultipart(f *testing.F) {
	f.Add([]byte(form(named("model"), "a", named("file")+`; filename="x"`, "\r\n--B \r\n", named("stream"), "true")), "B")
	f.Add([]byte(strings.ReplaceAll(form(named("model"), "a", named("x"), ""), "\r\n", "\n")), "B")
	f.Add([]byte("pre\r\n--B \r\n\r\n--B\r\n"+named("model")+"\r\n\r\n--B-\r\n--Bx\r\n--B--\t\r\nepilogue"), "B")
	f.Add([]byte("--B\n"), "B")
	f.Add([]byte("--B\n"+named("model")+"\r\n\r\nx\r\n--B\r\n--B--"), "B")
	f.Add([]byte("----\r\n"+named("n")+"\r\nA : b\r\n\r\n3\r\n------"), "--")
	f.Fuzz(func(t *testing.T, body []byte, boundary string) {
		got, err := ScanMultipart(bytes.Clone(body)[:len(body):len(body)], boundary)
		var at *ScanError
		if err != nil && (!errors.As(err, &at) || at.Offset < 0 || at.Offset > len(body)) {
			t.Fatalf("got error %#v, want a *ScanError within %d bytes", err, len(body))
		}
		if err == nil && got.ModelStart >= 0 && string(body[got.ModelStart:got.ModelEnd]) != got.Model {
			t.Fatalf("got span %q, want %q", body[got.ModelStart:got.ModelEnd], got.Model)
		}
		fields, certain, mimeErr := mimeFields(body, boundary)
		if mimeErr != nil {
			// Its buffer limits the lines of a preamble, which ours need not.
			if err == nil && len(body) < 4096 {
				t.Fatalf("got no error, want one as of mime/multipart: %v", mimeErr)
			}
			return
		}
		if errors.Is(err, ErrUnterminated) {
			// A header that the end of the body cuts short looks to mime/multipart
			// like the end of the form. With an end of its own it does not.
			if _, _, mimeErr = mimeFields(append(body, "\r\n\r\n"...), boundary); mimeErr != nil {
				return
			}
		}
		if errors.Is(err, ErrPartHeader) && !certain || errors.Is(err, ErrTooManyParts) && !certain || errors.Is(err, ErrBoundary) {
			return
		}
		models, streams := fields["model"], fields["stream"]
		switch {
		case len(models) > 1 || len(streams) > 1:
			if err == nil {
				t.Fatalf("got no error, want one for models %q, streams %q", models, streams)
			}
		case err != nil:
			if at.Param() == "" { // what its text is refused for, the table test says
				t.Fatalf("got %v, want no error", err)
			}
		case len(models) == 1 != (got.ModelStart >= 0), len(models) == 1 && got.Model != models[0]:
			t.Fatalf("got model %q at %d, want %q", got.Model, got.ModelStart, models)
		case len(streams) == 1 != got.StreamSet:
			t.Fatalf("got stream set: %v, want %q", got.StreamSet, streams)
		}
	})
}

func BenchmarkScanMultipart(b *testing.B) {
	body := []byte(form(named("file")+`; filename="a.wav"`, strings.Repeat("\r\n--RIFF\x00\x01\x02\x03 ", 1<<16), named("model"), "whisper-1"))
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if f, err := ScanMultipart(body, "B"); err != nil || f.Model != "whisper-1" {
			b.Fatal(f, err)
		}
	}
}
