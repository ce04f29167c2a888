package apireq

import (
	"mime"
	"net/textproto"
	"strings"
)

// partHeader is what the header of a form part says.
type partHeader struct {
	name  string
	field bool // false: a file, or a part without a name
}

// readPartHeader understands the header of a form part. It is false for one
// that servers read differently, since with it a client could show the router
// another model than the server: an encoded value, a name with escapes or in
// RFC 2231 form, a header given twice or with a space before its colon, a model
// with an empty file name.
func readPartHeader(h textproto.MIMEHeader) (partHeader, bool) {
	for key := range h {
		if strings.Contains(key, " ") {
			return partHeader{}, false
		}
	}
	dispositions := h["Content-Disposition"]
	switch len(dispositions) {
	case 0:
		return partHeader{}, true
	case 1:
	default:
		return partHeader{}, false
	}
	disposition, params, err := mime.ParseMediaType(dispositions[0])
	if err != nil || disposition != "form-data" || hasExtendedName(dispositions[0]) {
		return partHeader{}, false
	}
	part := partHeader{name: params["name"]}
	if strings.Contains(part.name, `\`) {
		return partHeader{}, false
	}
	file, isFile := params["filename"]
	plain := plainEncoding(h["Content-Transfer-Encoding"])
	if isFile && file != "" {
		return part, true
	}
	if (isFile || !plain) && decides(part.name) {
		return partHeader{}, false
	}
	part.field = part.name != "" && !isFile
	return part, true
}

// decides reports whether any server may take a field of that name for one
// that the router decides on.
func decides(name string) bool {
	name = strings.TrimSpace(name)
	return strings.EqualFold(name, "model") || strings.EqualFold(name, "stream")
}

// hasExtendedName reports whether the parameter name is written as name*=… or
// name*0=…, which only some servers decode.
func hasExtendedName(disposition string) bool {
	s := strings.ToLower(disposition)
	for {
		before, after, ok := strings.Cut(s, "name*")
		if !ok {
			return false
		}
		if !strings.HasSuffix(before, "file") {
			return true
		}
		s = after
	}
}

// plainEncoding reports whether a value stands in the body as it is.
func plainEncoding(encodings []string) bool {
	for _, e := range encodings {
		switch strings.ToLower(e) {
		case "", "7bit", "8bit", "binary":
		default:
			return false
		}
	}
	return true
}
