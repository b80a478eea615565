package api

import "encoding/json"

// mergePatch applies a merge patch (RFC 7396): an object's fields replace those
// of the target, null takes a field away, and what is no object replaces all.
// Parts that the patch does not name stay as they are, to the byte.
func mergePatch(target, patch json.RawMessage) (json.RawMessage, error) {
	var changes map[string]json.RawMessage
	if json.Unmarshal(patch, &changes) != nil || changes == nil {
		return patch, nil
	}
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(target, &fields) != nil || fields == nil {
		fields = map[string]json.RawMessage{}
	}
	for name, change := range changes {
		if isNull(change) {
			delete(fields, name)
			continue
		}
		merged, err := mergePatch(fields[name], change)
		if err != nil {
			return nil, err
		}
		fields[name] = merged
	}
	return json.Marshal(fields)
}

func isNull(v json.RawMessage) bool { return string(v) == "null" }
