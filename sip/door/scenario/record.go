package scenario

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// record checks a value of the last call record: the words are PATH = VALUE.
func (r *runner) record(words []string) error {
	want := strings.Trim(strings.Join(words[2:], " "), `"`)
	var got string
	var err error
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if got, err = r.recorded(words[0]); err == nil && glob(want, got) {
			return nil
		}
		if r.settled(start) {
			break
		}
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("the record says %s", got)
}

func (r *runner) recorded(path string) (string, error) {
	b, err := r.door.Records()
	if err != nil {
		return "", err
	}
	var records []any
	if err := json.Unmarshal(b, &records); err != nil {
		return "", fmt.Errorf("the records are no JSON list: %w", err)
	}
	if len(records) == 0 {
		return "", fmt.Errorf("there is no call record")
	}
	return lookup(records[len(records)-1], path)
}

// lookup finds a value by a path like legs[0].code, or legs.length.
func lookup(v any, path string) (string, error) {
	at := ""
	for _, key := range strings.FieldsFunc(path, func(c rune) bool { return c == '.' || c == '[' || c == ']' }) {
		at += "/" + key
		switch x := v.(type) {
		case map[string]any:
			value, ok := x[key]
			if !ok {
				return "", fmt.Errorf("the record has no %s", at)
			}
			v = value
		case []any:
			if key == "length" {
				return strconv.Itoa(len(x)), nil
			}
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(x) {
				return "", fmt.Errorf("the record has %d items at %s", len(x), at)
			}
			v = x[i]
		case nil:
			return "", fmt.Errorf("%s of the record is null", at)
		default:
			return "", fmt.Errorf("the record has nothing below %s", at)
		}
	}
	if s, ok := v.(string); ok {
		return s, nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}
