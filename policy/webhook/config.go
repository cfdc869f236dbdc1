package webhook

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// The calls that events are posted of.
const (
	OfRecorded = "siprec" // recording sessions (RFC 7866)
	OfAll      = "all"
)

// Config is the webhook section of the configuration.
type Config struct {
	// URLs get every event, each in a POST of its own: http or https. Redirects
	// are not followed. Default: none, and nothing is posted.
	URLs []string `yaml:"urls"`
	// Of says of which calls: siprec (those that a session recording client
	// sends copies of) or all. Default: siprec.
	Of string `yaml:"of"`
	// Secret signs the posts: X-Portero-Signature is "sha256=" and the HMAC-SHA-256,
	// in hexadecimal digits, of X-Portero-Timestamp, a dot and the body.
	// Default: none, and they are not signed.
	Secret string `yaml:"secret"`
	// SecretFile is a file whose first line is the secret; it goes before secret
	// and is read at start. Default: none.
	SecretFile string `yaml:"secret_file"`
	// Timeout is how long one post may take: 100ms to 1m. Default: 5s.
	Timeout time.Duration `yaml:"timeout"`
	// Retry is for how long an event that was not taken is posted again, at growing
	// intervals; later ones of the same URL wait behind it: 0s to 1h. Default: 2m.
	Retry time.Duration `yaml:"retry"`
	// Queue is how many events may wait for one URL; more are dropped and counted:
	// 1 to 100000. Default: 1000.
	Queue int `yaml:"queue"`
}

// Defaults is the configuration that posts nothing.
func Defaults() Config {
	return Config{Of: OfRecorded, Timeout: 5 * time.Second, Retry: 2 * time.Minute, Queue: 1000}
}

// Check reports every mistake by its path below this configuration.
func (c Config) Check(fault func(path, format string, args ...any)) {
	for i, s := range c.URLs {
		u, err := url.Parse(s)
		switch {
		case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
			fault(fmt.Sprintf("urls[%d]", i), "%q is not a URL like https://desk.example.com/portero", s)
		case u.User != nil:
			fault(fmt.Sprintf("urls[%d]", i), "has a name or password in it, which logs would show; sign with secret instead")
		}
	}
	if c.Of != OfRecorded && c.Of != OfAll {
		fault("of", "%q is not known; allowed: siprec, all", c.Of)
	}
	if c.Secret != "" && len(c.Secret) < 16 {
		fault("secret", "has %d characters; 16 and more are wanted, else it can be guessed", len(c.Secret))
	}
	if c.Timeout < 100*time.Millisecond || c.Timeout > time.Minute {
		fault("timeout", "%v; allowed: 100ms to 1m", c.Timeout)
	}
	if c.Retry < 0 || c.Retry > time.Hour {
		fault("retry", "%v; allowed: 0s to 1h", c.Retry)
	}
	if c.Queue < 1 || c.Queue > 100000 {
		fault("queue", "%d; allowed: 1 to 100000", c.Queue)
	}
}

// key is the secret that posts are signed with.
func (c Config) key() ([]byte, error) {
	if c.SecretFile == "" {
		return []byte(c.Secret), nil
	}
	b, err := os.ReadFile(c.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("webhook.secret_file: %w", err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if k := strings.TrimSpace(string(line)); len(k) >= 16 {
		return []byte(k), nil
	}
	return nil, fmt.Errorf("webhook.secret_file: the first line of %s has fewer than 16 characters", c.SecretFile)
}
