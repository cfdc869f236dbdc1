package store

import (
	"encoding/json"
	"fmt"
	"time"
)

// layout is RFC 3339 in UTC with all nine digits, so that the texts sort as the
// moments do.
const layout = "2006-01-02T15:04:05.000000000Z"

// Time is a moment of a call or a promise. In JSON it is RFC 3339 in UTC with
// nanoseconds, and null when zero: the moment never came.
type Time struct{ time.Time }

// At is the Time of t, in UTC and without the monotonic reading.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Round(0)}
}

// MarshalJSON writes the moment, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + t.UTC().Format(layout) + `"`), nil
}

// UnmarshalJSON reads what MarshalJSON wrote, or any RFC 3339 time.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("time %s: a string by RFC 3339 or null is wanted: %w", b, err)
	}
	if s == nil {
		*t = Time{}
		return nil
	}
	u, err := time.Parse(time.RFC3339Nano, *s)
	if err != nil {
		return fmt.Errorf("time %q: RFC 3339 or null is wanted: %w", *s, err)
	}
	*t = At(u)
	return nil
}

// column is the moment as stored in SQLite: nanoseconds since 1970, or NULL.
func (t Time) column() any {
	if t.IsZero() {
		return nil
	}
	return t.UnixNano()
}

// Scan reads a column.
func (t *Time) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*t = Time{}
	case int64:
		*t = At(time.Unix(0, v))
	default:
		return fmt.Errorf("time column holds %T, an integer is wanted", v)
	}
	return nil
}
