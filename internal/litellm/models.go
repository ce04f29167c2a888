package litellm

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// models is the model_list, by group.
type models struct {
	doc         *document
	cfg         *settings
	credentials map[string]*section
	ids         map[string]place // of model_info.id
	groups      []*group
	byName      map[string]*group
}

// group is a pool in the making: what LiteLLM calls a model group.
type group struct {
	name        string // what the config calls it
	public      string // what clients call it; empty when an alias hides it
	at          place
	aliases     []string
	deployments []*deployment
	pool        *upstreams.Pool
}

// deployment is an entry of the model_list.
type deployment struct {
	*upstreams.Deployment
	at        place
	label     string // what a generated id begins with
	rpm, tpm  bool   // set in the config
	retries   *int
	cooldown  cooldownSettings
	tagFilter bool
	tags      value
}

// readModels reads model_list and credential_list.
func readModels(root *section, cfg *settings) *models {
	m := &models{
		doc: root.doc, cfg: cfg,
		credentials: readCredentials(root),
		ids:         make(map[string]place), byName: make(map[string]*group),
	}
	if v, ok := root.take("include"); ok {
		v.fail("other files are not read; put their models into this one")
	}
	list, ok := root.take("model_list")
	if !ok {
		root.doc.fail(place{root.at.line, "model_list"}, "is missing; expected a list of models")
		return m
	}
	for _, item := range list.list() {
		m.readModel(item)
	}
	if len(m.groups) == 0 && len(root.doc.problems) == 0 {
		list.fail("there is no model to serve")
	}
	return m
}

// readModel adds one entry of the model_list to its group.
func (m *models) readModel(item value) {
	m.doc.lenient = m.cfg.ignoreInvalid
	defer func() { m.doc.lenient = false }()
	failed := m.doc.failed
	entry := item.section()
	v, ok := entry.take("model_name")
	if !ok {
		item.fail("model_name is missing; expected the name that clients ask for")
	}
	name := ""
	if ok {
		name = v.name()
	}
	params, info := entry.sub("litellm_params"), entry.sub("model_info")
	if public := info.text("team_public_model_name"); public != "" {
		name = public
	}
	if strings.Count(name, "*") > 1 {
		v.fail("%q has more than one *; expected at most one", name)
	}
	d := m.readDeployment(name, item, params, info)
	entry.rest(unsupportedModel)
	switch {
	case m.doc.failed != failed:
		if m.doc.lenient {
			item.warn("the deployment is left out, because ignore_invalid_deployments is set")
		}
	case info.on("blocked"):
		info.values["blocked"].warn("the deployment is left out")
	default:
		g := m.group(name, v.at)
		g.deployments = append(g.deployments, d)
	}
}

func (m *models) group(name string, at place) *group {
	g := m.byName[name]
	if g == nil {
		g = &group{name: name, public: name, at: at}
		m.byName[name] = g
		m.groups = append(m.groups, g)
	}
	return g
}

// readDeployment reads litellm_params and model_info of one entry.
func (m *models) readDeployment(name string, item value, params, info *section) *deployment {
	m.addCredential(params)
	d := &deployment{Deployment: new(upstreams.Deployment), at: item.at}
	e := m.readEndpoint(d, name, item, params)
	m.readKey(d, e, params)
	d.readHeaders(e, params)
	d.readLimits(m.cfg, params, info)
	d.readCost(m.cfg, params, info)
	d.readPolicy(params, info)
	d.readScope(m.cfg, params, info)
	m.readID(d, info)
	var mocked map[string]string
	if e.mock {
		mocked = unusedByMock
	}
	params.rest(unsupportedParams, mocked)
	info.taken["blocked"] = true // read once everything else has been
	info.rest(unsupportedInfo)
	return d
}

// readID reads the deployment's own id, which must be its alone.
func (m *models) readID(d *deployment, info *section) {
	v, ok := info.take("id")
	if !ok {
		return
	}
	d.ID = v.name()
	if other, taken := m.ids[d.ID]; taken {
		v.fail("%q is the id of another deployment already, on line %d", d.ID, other.line)
	}
	m.ids[d.ID] = v.at
}

// readLimits reads weight, order, limits and timeouts.
func (d *deployment) readLimits(cfg *settings, params, info *section) {
	if v, ok := params.take("weight"); ok {
		n := v.number()
		d.Weight = &n
	}
	for _, from := range []*section{info, params} { // params win
		if v, ok := from.take("order"); ok {
			n := int(v.whole())
			d.Order = &n
		}
		if v, ok := from.take("rpm"); ok {
			d.RPM, d.rpm = v.whole(), true
		}
		if v, ok := from.take("tpm"); ok {
			d.TPM, d.tpm = v.whole(), true
		}
		if v, ok := from.take("max_input_tokens"); ok { // LiteLLM does not add the answer
			d.MaxInput = int(v.whole())
		}
		if v, ok := from.take("region_name"); ok {
			d.Region = v.text()
		}
		if v, ok := from.take("base_model"); ok {
			d.BaseModel = v.text()
			v.warn("is kept, but LiteLLM's list of prices is not known here; name a copy of it as the prices of the llm_router handler")
		}
	}
	if v, ok := params.take("max_parallel_requests"); ok {
		d.MaxParallel = v.whole()
	} else if !d.rpm && !d.tpm {
		d.MaxParallel = cfg.maxParallel
	}
	d.Timeout = params.timeout("timeout", "request_timeout")
	d.FirstTokenTimeout = params.timeout("stream_timeout")
}

// timeout reads the first of the keys that is set. To LiteLLM a timeout of 0
// is none of its own.
func (s *section) timeout(keys ...string) caddy.Duration {
	var first caddy.Duration
	for _, key := range keys {
		v, ok := s.take(key)
		switch {
		case !ok:
		case first != 0:
			v.warn("is not used, because %s is set", keys[0])
		default:
			first = v.seconds()
		}
	}
	return first
}

// readPolicy reads what a pool has, not a deployment: it counts when all
// deployments of the group say the same.
func (d *deployment) readPolicy(params, info *section) {
	if v, ok := params.take("num_retries"); ok {
		n := int(v.whole())
		d.retries = &n
	}
	for _, from := range []*section{params, info} { // info wins
		if v, ok := from.take("cooldown_time"); ok {
			t := v.seconds()
			d.cooldown.duration = &t
		}
	}
	if v, ok := info.take("allowed_fails"); ok {
		n := int(v.whole())
		d.cooldown.allowed = &n
	}
	if v, ok := info.take("allowed_fails_policy"); ok {
		d.cooldown.classes = v.section().classes("AllowedFails", "never cools a deployment here")
	}
}

// readScope reads whom the deployment is for.
func (d *deployment) readScope(cfg *settings, params, info *section) {
	for _, from := range []*section{params, info} {
		if v, ok := from.take("team_id"); ok {
			d.Teams = []string{v.name()}
			v.warn("nothing gives a request a team yet, so nobody reaches this deployment; set team on the llm_router handler from something trusted")
		}
	}
	d.tagFilter = info.on("enable_tag_filtering") || cfg.tagFiltering
	if v, ok := params.take("tags"); ok {
		d.tags, d.Tags = v, v.texts()
	}
}

// readCredentials reads credential_list: values that deployments share.
func readCredentials(root *section) map[string]*section {
	credentials := make(map[string]*section)
	list, ok := root.take("credential_list")
	if !ok {
		return credentials
	}
	for _, item := range list.list() {
		entry := item.section()
		name, values := entry.text("credential_name"), entry.sub("credential_values")
		entry.taken["credential_info"] = true // a description
		entry.rest()
		if name == "" {
			item.fail("credential_name is missing")
			continue
		}
		credentials[name] = values
	}
	return credentials
}

// addCredential adds the values of the credential that a deployment names.
func (m *models) addCredential(params *section) {
	v, ok := params.take("litellm_credential_name")
	if !ok {
		return
	}
	if values := m.credentials[v.text()]; values != nil {
		params.merge(values)
	} else {
		v.fail("there is no credential %q in credential_list", v.text())
	}
}

// nameIDs gives ids to the deployments that have none: what they are, and a
// number within the pool.
func (g *group) nameIDs() {
	taken, count := make(map[string]bool), make(map[string]int)
	for _, d := range g.deployments {
		taken[d.ID] = true
	}
	for _, d := range g.deployments {
		for d.ID == "" {
			count[d.label]++
			if id := fmt.Sprintf("%s-%d", d.label, count[d.label]); !taken[id] {
				d.ID = id
			}
		}
	}
}
