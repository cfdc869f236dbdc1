package config

import (
	"fmt"
	"strings"
)

// Summary is what the configuration will do, for `portero check`: one line a
// subject.
func (c *Config) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mode: %s\n", c.Mode)
	return b.String()
}
