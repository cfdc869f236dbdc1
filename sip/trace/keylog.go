package trace

import (
	"bytes"
	"encoding/hex"
	"fmt"
)

// maxSecrets bounds the connections whose secrets are held; the ones that came
// first give way.
const maxSecrets = 200_000

// KeyLog holds the secrets of TLS connections in the form that browsers, OpenSSL
// and phones write for SSLKEYLOGFILE (RFC 9850). The zero value is empty. It is
// not safe for concurrent use.
type KeyLog struct {
	// More is asked for further lines when the secrets of a connection are not
	// there: its keys may be written while it is being watched. nil where the log
	// is complete. The lines may end in the middle of one.
	More func() []byte

	given   *KeyLog // looked into as well
	secrets map[[32]byte]*secrets
	order   [][32]byte
	rest    []byte // of a line whose end has not come
}

// secrets of one connection, by what they are for.
type secrets struct {
	master                   []byte // TLS 1.2 and before
	clientHello, serverHello []byte // TLS 1.3: of the handshake
	clientTalk, serverTalk   []byte // and of what follows, the first of each
}

// Add takes lines of a key log. The error is of the first that is none; the
// others are taken all the same.
func (k *KeyLog) Add(text []byte) error {
	var wrong error
	n := 0
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		n++
		if err := k.line(line); err != nil && wrong == nil {
			wrong = fmt.Errorf("line %d: %w", n, err)
		}
	}
	return wrong
}

func (k *KeyLog) line(line []byte) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] == '#' {
		return nil
	}
	f := bytes.Fields(line)
	if len(f) != 3 {
		return fmt.Errorf("a label, a client random and a secret are needed; there are %d words", len(f))
	}
	var random [32]byte
	if len(f[1]) != 64 {
		return nil // RSA and other labels of old, with another second word
	}
	if _, err := hex.Decode(random[:], f[1]); err != nil {
		return fmt.Errorf("the client random: %w", err)
	}
	secret := make([]byte, hex.DecodedLen(len(f[2])))
	if _, err := hex.Decode(secret, f[2]); err != nil || len(secret) < 16 || len(secret) > 64 {
		return fmt.Errorf("the secret is no hexadecimal number of 16 to 64 bytes")
	}
	s := k.secrets[random]
	if s == nil {
		s = &secrets{}
	}
	switch string(f[0]) {
	case "CLIENT_RANDOM":
		s.master = secret
	case "CLIENT_HANDSHAKE_TRAFFIC_SECRET":
		s.clientHello = secret
	case "SERVER_HANDSHAKE_TRAFFIC_SECRET":
		s.serverHello = secret
	case "CLIENT_TRAFFIC_SECRET_0":
		s.clientTalk = secret
	case "SERVER_TRAFFIC_SECRET_0":
		s.serverTalk = secret
	default:
		return nil // of early data, exporters, ECH
	}
	if k.secrets[random] == nil {
		if k.secrets == nil {
			k.secrets = map[[32]byte]*secrets{}
		}
		if len(k.order) >= maxSecrets {
			delete(k.secrets, k.order[0])
			k.order = k.order[1:]
		}
		k.secrets[random] = s
		k.order = append(k.order, random)
	}
	return nil
}

// of returns the secrets of a connection, nil when they are not known.
func (k *KeyLog) of(random [32]byte) *secrets {
	if k == nil {
		return nil
	}
	if s := k.secrets[random]; s != nil && s.whole() {
		return s
	}
	if s := k.given.of(random); s != nil {
		return s
	}
	if k.More == nil {
		return k.secrets[random]
	}
	k.rest = append(k.rest, k.More()...)
	if i := bytes.LastIndexByte(k.rest, '\n'); i >= 0 {
		k.Add(k.rest[:i+1]) //nolint:errcheck // it is being written by somebody else
		k.rest = append(k.rest[:0], k.rest[i+1:]...)
	}
	return k.secrets[random]
}

// growing says whether more secrets may come.
func (k *KeyLog) growing() bool { return k != nil && (k.More != nil || k.given.growing()) }

// any says whether there are secrets at all, or may come to be.
func (k *KeyLog) any() bool {
	return k != nil && (len(k.secrets) > 0 || k.More != nil || k.given.any())
}

// whole says whether nothing is to come of the secrets.
func (s *secrets) whole() bool {
	return s.master != nil || s.clientTalk != nil && s.serverTalk != nil && s.clientHello != nil && s.serverHello != nil
}
