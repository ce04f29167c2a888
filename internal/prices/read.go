package prices

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxFile is the largest file that is read, in bytes. LiteLLM's own has 2 MB.
const maxFile = 64 << 20

// sample is the entry of the published table that describes the others.
const sample = "sample_spec"

// ReadFile reads a table from a file. Errors name the file and, where it is what is
// in it that is wrong, the line, the model and the key.
func ReadFile(name string) (*Table, error) {
	info, err := os.Stat(name) // before a pipe that nobody writes to is opened
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxFile:
		return nil, fmt.Errorf("%s: the file is larger than %d bytes", name, maxFile)
	}
	table, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	return table, nil
}

// Parse reads a table. Errors begin with the line.
func Parse(data []byte) (*Table, error) {
	r := reader{data: data, dec: json.NewDecoder(bytes.NewReader(data)), models: make(map[string]Model)}
	if err := r.read(); err != nil {
		return nil, fmt.Errorf("%d: %w", r.line(err), err)
	}
	return newTable(r.models), nil
}

type reader struct {
	data   []byte
	dec    *json.Decoder
	models map[string]Model
	at     int64 // where the entry begins
}

// line is where an error is: where the text is not JSON, else where its entry begins.
func (r *reader) line(err error) int {
	at := r.at
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = syntax.Offset
	} else if errors.Is(err, io.ErrUnexpectedEOF) {
		at = int64(len(r.data))
	}
	return 1 + bytes.Count(r.data[:min(at, int64(len(r.data)))], []byte("\n"))
}

func (r *reader) read() error {
	open, err := r.dec.Token()
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the file is empty; expected a JSON object of models")
	case err != nil:
		return err
	case open != json.Delim('{'):
		return errors.New("expected a JSON object of models")
	}
	for r.dec.More() {
		if err := r.entry(); err != nil {
			return err
		}
	}
	if _, err := r.dec.Token(); err != nil {
		return unexpectedEnd(err)
	}
	r.at = r.dec.InputOffset()
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the file goes on after the JSON object")
	}
	return nil
}

func (r *reader) entry() error {
	key, err := r.dec.Token()
	if err != nil {
		return unexpectedEnd(err)
	}
	r.at = r.dec.InputOffset()
	name := key.(string) // what More is followed by in an object
	if name == sample {
		var ignored json.RawMessage
		return unexpectedEnd(r.dec.Decode(&ignored))
	}
	var e *entry
	if err := r.dec.Decode(&e); err != nil {
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("model %q: expected a JSON object", name)
		}
		return unexpectedEnd(err)
	}
	if e == nil {
		return nil
	}
	model, err := e.model()
	if err != nil {
		return fmt.Errorf("model %q: %w", name, err)
	}
	r.models[name] = model
	return nil
}

// unexpectedEnd is the error of a text that ends too early, however it is called.
func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
