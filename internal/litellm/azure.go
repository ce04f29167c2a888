package litellm

import (
	"net/url"
	"strings"
)

// azureVersion is what LiteLLM asks Azure for when nothing says otherwise.
const (
	azureVersion   = "2025-02-01-preview"
	azureAIVersion = "2024-05-01-preview"
)

// azure continues an address of Azure OpenAI up to the deployment, unless it is
// one of the API that takes the deployment from the body.
func (m *models) azure(d *deployment, model value, text, query, version string, literal bool) (base, newQuery string) {
	shape := m.doc.shape(text)
	if strings.HasSuffix(strings.TrimRight(shape, "/"), "/openai/v1") {
		return text, query
	}
	if !strings.Contains(shape, "/openai/deployments/") {
		switch version {
		case "latest", "preview":
			return m.join(strings.TrimSuffix(text, "/openai"), "/openai/v1"), addQuery(query, "api-version=preview")
		case "v1":
			return m.join(strings.TrimSuffix(text, "/openai"), "/openai/v1"), query
		}
		if strings.Contains(d.Model, "*") {
			model.fail("the address of an Azure deployment has its name in it, so that a * cannot stand for it; write api_version: v1, which takes the name from the request")
		}
		text = m.join(strings.TrimSuffix(text, "/openai"), "/openai/deployments/"+url.PathEscape(d.Model))
	}
	if !strings.Contains(query, "api-version=") {
		query = addQuery(query, "api-version="+queryValue(version, literal))
	}
	return text, query
}

// azureAI continues an address of Azure AI, whose hosts differ in path and in
// the header that carries the key.
func (m *models) azureAI(e *endpoint, text, query, version string, literal bool) (base, newQuery string) {
	shape := m.doc.shape(text)
	host := hostOf(shape)
	if strings.HasSuffix(host, ".services.ai.azure.com") || strings.HasSuffix(host, ".openai.azure.com") {
		e.header = "Api-Key"
	}
	if strings.HasSuffix(host, ".services.ai.azure.com") {
		if pathOf(shape) == "" {
			text = m.join(text, "/models")
		}
		if version == "" && !strings.Contains(shape, "/openai/") {
			version = azureAIVersion
		}
	}
	if version != "" && !strings.Contains(query, "api-version=") {
		query = addQuery(query, "api-version="+queryValue(version, literal))
	}
	return text, query
}

func queryValue(s string, literal bool) string {
	if literal {
		return url.QueryEscape(s)
	}
	return s // a placeholder
}

func addQuery(query, more string) string {
	if query == "" {
		return more
	}
	return query + "&" + more
}
