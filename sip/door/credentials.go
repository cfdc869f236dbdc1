package door

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/portero/portero/sip/auth"
)

// Credentials answer the digest challenges of a peer (RFC 3261 section 22, RFC
// 8760). Challenges that they do not answer pass to the other side.
type Credentials struct {
	// Username is who the door is to the peer; empty: challenges pass through.
	// Default: none.
	Username string `yaml:"username"`
	// Password is the password. Default: none.
	Password Secret `yaml:"password"`
	// PasswordFile is a file whose first line is the password; it goes before
	// password. It is read at start and again for every call. Default: none.
	PasswordFile string `yaml:"password_file"`
	// Realm is the one realm whose challenges are answered. Default: any.
	Realm string `yaml:"realm"`
}

// Secret is a text that must not be seen in logs.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the secret in JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (c Credentials) check(at string, fault func(path, format string, args ...any)) {
	if c == (Credentials{}) {
		return
	}
	if c.Username == "" {
		fault(at+".username", "credentials need a username")
	}
	if c.Password == "" && c.PasswordFile == "" {
		fault(at+".password", "credentials need a password or a password_file")
	}
}

// readable says whether the password can be read, as it must be at start.
func (c Config) readable() error {
	var errs []error
	try := func(path string, c Credentials) {
		if _, err := c.password(); err != nil {
			errs = append(errs, fmt.Errorf("sip.%s.credentials.password_file: %w", path, err))
		}
	}
	for i, t := range c.Trunks {
		try(fmt.Sprintf("trunks[%d]", i), t.Credentials)
	}
	for name, d := range c.Destinations {
		try("destinations."+name, d.Credentials)
	}
	return errors.Join(errs...)
}

// maxPasswordFile bounds a file that holds a password, bytes.
const maxPasswordFile = 4096

func (c Credentials) password() (string, error) {
	if c.PasswordFile == "" {
		return string(c.Password), nil
	}
	info, err := os.Stat(c.PasswordFile)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxPasswordFile {
		return "", fmt.Errorf("%s is no plain file of up to %d bytes", c.PasswordFile, maxPasswordFile)
	}
	b, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return "", errors.New(c.PasswordFile + " begins with an empty line")
	}
	return line, nil
}

// client makes what answers challenges, nil without credentials. It reads the
// password anew, so that a changed file counts from the next call on.
func (c Credentials) client() *auth.Client {
	if c.Username == "" {
		return nil
	}
	password, err := c.password()
	if err != nil {
		return nil // checked at start; a file that vanished since lets challenges pass
	}
	return auth.NewClient(c.Username, password, c.Realm)
}
