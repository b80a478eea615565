package api

import "encoding/json"

// mergePatch applies a merge patch (RFC 7396): an object's fields replace those
// of the target, null takes a field away, and what is no object replaces all.
// Parts that the patch does not name stay as they are.
func mergePatch(target, patch json.RawMessage) (json.RawMessage, error) {
	changes := object(patch)
	if changes == nil {
		return patch, nil
	}
	fields := object(target)
	if fields == nil {
		fields = map[string]json.RawMessage{}
	}
	for name, change := range changes {
		if string(change) == "null" {
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

// object gives the fields of a JSON object, nil for what is none.
func object(text json.RawMessage) (fields map[string]json.RawMessage) {
	if json.Unmarshal(text, &fields) != nil {
		return nil
	}
	return fields
}
