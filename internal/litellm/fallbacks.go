package litellm

// fallbacks is one of LiteLLM's lists of fallbacks: which groups to try for
// which group. The key * is for every group without one of its own.
type fallbacks struct {
	keys    []value // in the order of the file
	targets map[string][]target
}

// target is a model name that a request falls back to.
type target struct {
	name string
	at   value
}

// anyGroup is the key of the fallbacks of groups without their own.
const anyGroup = "*"

// readFallbacks reads a list of mappings with one key each; nil when it is not
// set. Of two entries for one group the first counts.
func readFallbacks(v value, ok bool) *fallbacks {
	f := &fallbacks{targets: make(map[string][]target)}
	if !ok {
		return f
	}
	for _, item := range v.list() {
		entry := item.section()
		if len(entry.keys) != 1 {
			item.fail("expected a mapping with exactly one key, the model group, got %d keys", len(entry.keys))
			continue
		}
		key := entry.keys[0]
		list, _ := entry.take(key)
		if list.doc == nil || list.null() {
			item.fail("expected a list of model groups for %q, got nothing", key)
			continue
		}
		f.add(key, list)
	}
	return f
}

func (f *fallbacks) add(key string, list value) {
	if _, ok := f.targets[key]; ok {
		list.warn("is not used, because an entry before it is for the same model group")
		return
	}
	f.keys = append(f.keys, value{doc: list.doc, node: list.node, at: list.at, key: key})
	f.targets[key] = nil
	for _, item := range list.list() {
		name, ok := item.fallbackName()
		if ok {
			f.targets[key] = append(f.targets[key], target{name, item})
		}
	}
}

// addDefault adds default_fallbacks, which is an entry for every group.
func (f *fallbacks) addDefault(list value) {
	f.add(anyGroup, list)
}

// fallbackName reads a name, or an object with one.
func (v value) fallbackName() (string, bool) {
	if v.scalar() {
		return v.text(), v.text() != ""
	}
	object := v.section()
	model, ok := object.take("model")
	if !ok {
		v.fail("expected the name of a model group, got %s", v.kind())
		return "", false
	}
	object.rest(map[string]string{"messages": "a fallback cannot change the request; the request goes on as it is"})
	return model.text(), true
}
