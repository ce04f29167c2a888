package litellm

import (
	"net/url"
	"strings"
)

// endpoint is where a deployment's requests go.
type endpoint struct {
	provider
	name   string // of the provider
	model  string
	bearer bool // the key goes into Authorization whatever the provider says
	mock   bool
}

// readEndpoint reads where the deployment's requests go and which model they
// ask for there.
func (m *models) readEndpoint(d *deployment, public string, item value, params *section) *endpoint {
	v, ok := params.take("model")
	if !ok {
		item.fail("litellm_params.model is missing; expected <provider>/<model>")
		return &endpoint{}
	}
	e := &endpoint{}
	e.name, e.model = splitModel(v.name(), params.text("custom_llm_provider"))
	base, hasBase := params.take("api_base")
	if other, ok := params.take("base_url"); ok {
		if hasBase {
			other.warn("is not used, because api_base is set")
		} else {
			base, hasBase = other, true
		}
	}
	d.label, d.Model = e.name, e.model
	if d.readMock(params) {
		e.mock = true
		d.label = "mock"
		if hasBase {
			base.warn("is not used, because the response is a mock")
		}
		return e
	}
	if !m.readProvider(d, e, v, hasBase) {
		params.take("api_version")
		return e
	}
	d.Model = e.model
	if e.provider.model != nil {
		d.Model = e.provider.model(e.model)
	}
	if strings.Contains(d.Model, "*") && !strings.Contains(public, "*") {
		v.fail("has a *, which takes what the * of model_name stands for, but model_name has none")
	}
	d.BaseURL = m.address(d, e, v, base, hasBase, params)
	return e
}

// readProvider finds the provider; false when there is none that could serve.
func (m *models) readProvider(d *deployment, e *endpoint, v value, hasBase bool) bool {
	var known bool
	switch e.provider, known = providers[e.name]; {
	case known:
		return true
	case foreign[e.name]:
		v.fail("the provider %s does not speak OpenAI's wire format, and requests are not translated here", e.name)
	case e.model == "*":
		v.fail(`"*" leaves the provider to the client; write one model for each provider, such as model_name: openai/* with model: openai/*`)
	case hasBase:
		if e.name != "" {
			v.warn("the provider %s is not known here; its api_base is taken to speak OpenAI's wire format", e.name)
		} else {
			v.warn("%q has no provider that is known here; its api_base is taken to speak OpenAI's wire format", e.model)
		}
		d.label = "openai-like"
		e.provider = providers["openai_like"]
		return true
	case e.name != "":
		v.fail("the provider %s is not known here; write openai/<model> and an api_base if it speaks OpenAI's wire format", e.name)
	default:
		v.fail("%q has no provider that is known here; write <provider>/<model>", e.model)
	}
	return false
}

// address gives the deployment's base_url.
func (m *models) address(d *deployment, e *endpoint, model, base value, hasBase bool, params *section) string {
	text := e.base
	switch {
	case hasBase:
		text = base.resolvedInside()
		d.label = m.label(text, d.label)
	case e.baseVar != "" && (text == "" || m.doc.has(e.baseVar)):
		text = m.doc.fromEnvironment(e.baseVar)
	case text != "":
		e.suffix = ""
	default:
		model.fail("the provider %s has no address of its own; api_base is missing", e.name)
		return ""
	}
	text, query, _ := strings.Cut(text, "?")
	text = withoutEndpoint(text)
	version, literal := "", true
	at, hasVersion := params.take("api_version")
	if hasVersion {
		version, literal = at.resolved()
	}
	switch e.name {
	case "azure", "azure_text":
		if !hasVersion {
			version = azureVersion
		}
		text, query = m.azure(d, model, text, query, version, literal)
	case "azure_ai":
		text, query = m.azureAI(e, text, query, version, literal)
	default:
		if hasVersion {
			at.warn("has no effect with the provider %s", e.name)
		}
		if e.suffix != "" && !strings.Contains(pathOf(m.doc.shape(text)), e.suffix) {
			text = m.join(text, e.suffix)
		}
	}
	if query != "" {
		text += "?" + query
	}
	if hasBase {
		base.checkAddress()
	}
	return text
}

// join continues an address with a path. Whether an environment variable ends
// in a slash is only known while it is set.
func (m *models) join(base, path string) string {
	if strings.HasSuffix(m.doc.shape(base), "/") {
		path = path[1:]
	}
	return base + path
}

// withoutEndpoint drops the path of a single endpoint: the router adds the one
// that the client asked for.
func withoutEndpoint(base string) string {
	base = strings.TrimRight(base, "/")
	for _, endpoint := range []string{"/chat/completions", "/completions", "/embeddings", "/responses", "/messages"} {
		if rest, ok := strings.CutSuffix(base, endpoint); ok {
			return rest
		}
	}
	return base
}

// label is what an address gives ids to begin with: its host.
func (m *models) label(base, otherwise string) string {
	if strings.Contains(base, "{") {
		return otherwise
	}
	if host := hostOf(base); host != "" {
		return host
	}
	return otherwise
}

func hostOf(base string) string {
	if u, err := url.Parse(base); err == nil {
		return u.Hostname()
	}
	return ""
}

func pathOf(base string) string {
	if u, err := url.Parse(base); err == nil {
		return strings.TrimRight(u.Path, "/")
	}
	return ""
}

// checkAddress refuses literal addresses that the router would refuse, where
// the line is known.
func (v value) checkAddress() {
	if !v.scalar() || environInside.MatchString(v.text()) {
		return
	}
	u, err := url.Parse(v.text())
	switch {
	case err != nil:
		v.fail("is not an address")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		v.fail("expected an address such as http://gpu-1:8000/v1")
	case u.User != nil:
		v.fail("carries a user or password; use api_key")
	case u.Fragment != "":
		v.fail("has a fragment")
	}
}
