package hep

import (
	"fmt"
	"net/netip"
	"strings"
)

// Config is where and how to mirror.
type Config struct {
	// Target is Homer's address, as transport:address:port with transport udp or
	// tcp. Default: none, and nothing is mirrored.
	Target string `yaml:"target"`
	// ID is the capture agent's number, by which Homer tells doors apart.
	// Default: 2001.
	ID uint32 `yaml:"id"`
	// Password is sent with every packet, in the clear. Default: none.
	Password Password `yaml:"password"`
	// RTCP mirrors the RTCP that both sides of a call send, as JSON, under the
	// call's Call-ID. Default: false.
	RTCP bool `yaml:"rtcp"`
	// Queue is how many messages may wait to be sent, 16 to 65536; what is more
	// is dropped and counted. Default: 4096.
	Queue int `yaml:"queue"`
}

// Password is a text that must not be seen in logs.
type Password string

// String hides the password.
func (p Password) String() string {
	if p == "" {
		return ""
	}
	return "(secret)"
}

// GoString hides the password.
func (p Password) GoString() string { return p.String() }

// MarshalText hides the password in JSON and YAML.
func (p Password) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Defaults is a mirror that is off.
func Defaults() Config { return Config{ID: 2001, Queue: 4096} }

// Check reports every mistake by its path below the mirror's configuration.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if c.Target != "" {
		if _, _, err := parseTarget(c.Target); err != nil {
			fault("target", "%v", err)
		}
	}
	if len(c.Password) > 256 {
		fault("password", "is longer than 256 bytes")
	}
	if c.Queue < 16 || c.Queue > 65536 {
		fault("queue", "%d is not allowed; allowed: 16 to 65536", c.Queue)
	}
}

func parseTarget(s string) (network string, addr netip.AddrPort, err error) {
	network, rest, _ := strings.Cut(s, ":")
	if network != "udp" && network != "tcp" {
		return "", addr, fmt.Errorf("%q is not transport:address:port with transport udp or tcp, like udp:192.0.2.9:9060", s)
	}
	if addr, err = netip.ParseAddrPort(rest); err != nil || addr.Port() == 0 || addr.Addr().IsUnspecified() {
		return "", addr, fmt.Errorf("%q: %q is not address:port", s, rest)
	}
	return network, addr, nil
}
