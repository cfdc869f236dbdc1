package console

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Config is the HTTP side of a door.
type Config struct {
	// Listen is the address and port for health, metrics and the admin API; off
	// switches all of it off. An address that is not loopback needs Token.
	// Default 127.0.0.1:8080.
	Listen string `yaml:"listen"`
	// Token is wanted from whoever asks for /api/, as "Authorization: Bearer
	// TOKEN"; /healthz and /metrics are open. 16 to 256 visible ASCII
	// characters; empty is allowed on loopback only. Default empty.
	Token string `yaml:"token"`
}

// Off is the value of Listen that switches the console off.
const Off = "off"

// Defaults are the values of keys that are not given.
func Defaults() Config {
	return Config{Listen: "127.0.0.1:8080"}
}

// Check reports every mistake in c; path is relative to this configuration.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if c.Listen != Off {
		switch loopback, err := c.loopback(); {
		case err != nil:
			fault("listen", "%v", err)
		case !loopback && c.Token == "":
			fault("token", "is empty while listen is %s, which others can reach; give a token, or listen on 127.0.0.1", c.Listen)
		}
	}
	if c.Token == "" {
		return
	}
	if n := len(c.Token); n < 16 || n > 256 {
		fault("token", "has %d characters; 16 to 256 are allowed", n)
	}
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		fault("token", "holds a space or a character outside of ASCII; visible ASCII characters are allowed")
	}
}

// loopback tells whether only this machine can reach the listener.
func (c Config) loopback() (bool, error) {
	const wanted = "an address and port is wanted, such as 127.0.0.1:8080 or [::1]:8080, or off"
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false, fmt.Errorf("is %q; %s", c.Listen, wanted)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false, fmt.Errorf("is %q, whose port is no number up to 65535; %s", c.Listen, wanted)
	}
	if host == "localhost" {
		return true, nil
	}
	if host == "" { // as net.Listen takes it: every address
		return false, nil
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false, fmt.Errorf("is %q, whose host is no IP address; %s", c.Listen, wanted)
	}
	return a.Unmap().IsLoopback(), nil
}
