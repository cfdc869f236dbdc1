package trace

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// spokenTLS is what a client and a server of crypto/tls sent each other: real
// records, of which the keys are logged.
type spokenTLS struct {
	keys   string
	writes []written
}

type written struct {
	client bool
	b      []byte
}

// recorder notes what one end writes.
type recorder struct {
	net.Conn
	client bool
	mu     *sync.Mutex
	log    *[]written
}

func (r recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	*r.log = append(*r.log, written{r.client, bytes.Clone(b)})
	r.mu.Unlock()
	return r.Conn.Write(b)
}

// certificate makes one for the tests.
func certificate(t testing.TB, ec bool) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	var cert tls.Certificate
	var der []byte
	if ec {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		cert.PrivateKey = key
		der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
	} else {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		cert.PrivateKey = key
		der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
	}
	cert.Certificate = [][]byte{der}
	return cert
}

// converse has a client send texts, each of which the server answers with the
// next of its own.
func converse(t testing.TB, client, server *tls.Config, says, answers []string) spokenTLS {
	t.Helper()
	var keys bytes.Buffer
	var out spokenTLS
	var mu sync.Mutex
	// Not net.Pipe: the server writes tickets while the client writes.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of a test
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	client = client.Clone()
	client.KeyLogWriter, client.InsecureSkipVerify = &keys, true
	c, s := tls.Client(recorder{a, true, &mu, &out.writes}, client), tls.Server(recorder{b, false, &mu, &out.writes}, server)
	done := make(chan error, 1)
	go func() {
		buf := make([]byte, 1<<16)
		for i, answer := range answers {
			if _, err := io.ReadFull(s, buf[:len(says[i])]); err != nil {
				done <- err
				return
			}
			if _, err := io.WriteString(s, answer); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	buf := make([]byte, 1<<16)
	for i, text := range says {
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf[:len(answers[i])]); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	a.Close() //nolint:errcheck // of a test
	b.Close() //nolint:errcheck // of a test
	out.keys = keys.String()
	return out
}

// segments cuts what was written into TCP segments of at most size bytes, after
// the two SYNs.
func (o spokenTLS) segments(size int) []segment {
	seq := map[bool]uint32{true: 4294967000, false: 7}
	out := []segment{
		{tcp: true, syn: true, src: alice, dst: bob, seq: seq[true] - 1},
		{tcp: true, syn: true, ack: true, src: bob, dst: alice, seq: seq[false] - 1},
	}
	for _, w := range o.writes {
		for b := w.b; len(b) > 0; {
			n := min(size, len(b))
			s := segment{tcp: true, ack: true, src: alice, dst: bob, seq: seq[w.client], payload: b[:n]}
			if !w.client {
				s.src, s.dst = bob, alice
			}
			seq[w.client] += uint32(n)
			b = b[n:]
			out = append(out, s)
		}
	}
	return out
}

// heard gives the segments to flows with a key log, and tells the Call-IDs.
func heard(t testing.TB, keys string, all []segment) (ids, transport string, flows *tcpFlows) {
	t.Helper()
	flows = &tcpFlows{keys: &KeyLog{}}
	if err := flows.keys.Add([]byte(keys)); err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		s.at = start.Add(time.Duration(i) * time.Millisecond)
		flows.add(&s, func(s *segment) {
			if m, ok := parseMessage(s.payload); ok {
				ids, transport = strings.TrimSpace(ids+" "+m.callID), s.transport
			}
		})
	}
	return ids, transport, flows
}

func TestTLS(t *testing.T) {
	says := []string{sipText("one", 100), sipText("two", 3000), sipText("three", 0)}
	answers := []string{sipText("un", 0), sipText("deux", 20000), sipText("trois", 5)}
	const want = "one un two deux three trois"
	rsaCert, ecCert := certificate(t, false), certificate(t, true)
	for _, c := range []struct {
		name    string
		version uint16
		suite   uint16
		cert    tls.Certificate
	}{
		{"1.3", tls.VersionTLS13, 0, ecCert},
		{"1.2 AES-128-GCM", tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, rsaCert},
		{"1.2 AES-256-GCM", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, ecCert},
		{"1.2 ChaCha20", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, ecCert},
		{"1.2 AES-128-CBC", tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, rsaCert},
		{"1.2 AES-128-CBC, SHA-256", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, ecCert},
		{"1.2 AES-256-CBC", tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, rsaCert},
		{"1.1 AES-256-CBC", tls.VersionTLS11, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, rsaCert},
		{"1.0 AES-128-CBC", tls.VersionTLS10, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, ecCert},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := &tls.Config{MinVersion: c.version, MaxVersion: c.version, Certificates: []tls.Certificate{c.cert}}
			if c.suite != 0 {
				config.CipherSuites = []uint16{c.suite}
			}
			o := converse(t, config, config, says, answers)
			for _, size := range []int{1, 7, 1460, 65000} {
				if got, transport, flows := heard(t, o.keys, o.segments(size)); got != want || transport != "tls" || flows.sealed != 0 {
					t.Errorf("in segments of %d bytes: got %q over %s, %d sealed", size, got, transport, flows.sealed)
				}
			}
			all := o.segments(1460)
			if got, _, flows := heard(t, "", all); got != "" || flows.sealed != 0 || len(flows.open) > 0 {
				t.Errorf("without keys: %q, %d sealed, %d flows held", got, flows.sealed, len(flows.open))
			}
			// Keys, but of another connection.
			other := "CLIENT_RANDOM " + strings.Repeat("ab", 32) + " " + strings.Repeat("cd", 48) + "\n"
			if got, _, flows := heard(t, other, all); got != "" || flows.sealed != 1 || len(flows.open) > 0 {
				t.Errorf("with other keys: %q, %d sealed, %d flows held", got, flows.sealed, len(flows.open))
			}
			// No SYN was captured; each segment came twice; two neighbours changed places.
			if got, _, _ := heard(t, o.keys, all[2:]); got != want {
				t.Errorf("without SYN: %q", got)
			}
			var twice []segment
			for i := range all {
				twice = append(twice, all[i], all[i])
			}
			if got, _, _ := heard(t, o.keys, twice); got != want {
				t.Errorf("everything twice: %q", got)
			}
			for i := 3; i < len(all); i++ {
				swapped := append([]segment(nil), all...)
				swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
				if got, _, _ := heard(t, o.keys, swapped); len(got) != len(want) {
					t.Errorf("%d before %d: %q", i, i-1, got)
				}
			}
		})
	}
}

// TestTLSLoss: a segment of what was said is missing.
func TestTLSLoss(t *testing.T) {
	var says, answers []string
	for i := range 20 {
		says = append(says, sipText(strings.Repeat("c", i+1), 300))
		answers = append(answers, sipText(strings.Repeat("s", i+1), 0))
	}
	cert := certificate(t, true)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13, tls.VersionTLS11} {
		config := &tls.Config{MinVersion: version, MaxVersion: version, Certificates: []tls.Certificate{cert}}
		o := converse(t, config, config, says, answers)
		all := o.segments(200)
		// The first of the client's that hold the third of its messages and more.
		missing := -1
		seen := 0
		for i := range all {
			if all[i].src == alice && len(all[i].payload) == 200 {
				if seen++; seen == 20 {
					missing = i
					break
				}
			}
		}
		lossy := append(append([]segment(nil), all[:missing]...), all[missing+1:]...)
		// Time passes, so that the gap is given up.
		flows := &tcpFlows{keys: &KeyLog{}}
		if err := flows.keys.Add([]byte(o.keys)); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for i, s := range lossy {
			s.at = start.Add(time.Duration(i) * time.Second)
			flows.add(&s, func(s *segment) {
				if m, ok := parseMessage(s.payload); ok {
					got[m.callID]++
				}
			})
		}
		whole := 0
		for i := range says {
			whole += got[says[i][strings.Index(says[i], "Call-ID: ")+9:strings.Index(says[i], "\r\nCSeq")]]
		}
		if whole < len(says)-3 || len(got) < len(says)+len(answers)-3 {
			t.Errorf("version %#x: %d of %d of the client's messages, %d of all", version, whole, len(says), len(got))
		}
	}
}

// TestTLSResumption: the second connection goes on with the session of the first.
// crypto/tls logs no secret of a resumed session of TLS 1.2, as OpenSSL and NSS do.
func TestTLSResumption(t *testing.T) {
	cert := certificate(t, true)
	for _, version := range []uint16{tls.VersionTLS13} {
		server := &tls.Config{MinVersion: version, MaxVersion: version, Certificates: []tls.Certificate{cert}}
		client := server.Clone()
		client.ClientSessionCache, client.ServerName = tls.NewLRUClientSessionCache(1), "x"
		for i := range 2 {
			o := converse(t, client, server, []string{sipText("one", 0)}, []string{sipText("un", 0)})
			if got, _, _ := heard(t, o.keys, o.segments(100)); got != "one un" {
				t.Errorf("version %#x, connection %d: got %q", version, i+1, got)
			}
		}
	}
}

// TestKeysThatComeLate: the log is being written while it is read.
func TestKeysThatComeLate(t *testing.T) {
	cert := certificate(t, true)
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	o := converse(t, config, config, []string{sipText("one", 0), sipText("two", 0)}, []string{sipText("un", 0), sipText("deux", 0)})
	all := o.segments(1000)
	for late := range len(all) - 1 {
		i := 0
		written := 0
		flows := &tcpFlows{keys: &KeyLog{given: &KeyLog{More: func() []byte {
			if i < late || written >= len(o.keys) {
				return nil
			}
			n := min(written+400, len(o.keys)) // in the middle of a line
			b := o.keys[written:n]
			written = n
			return []byte(b)
		}}}}
		got := 0
		for i = range all {
			s := all[i]
			s.at = start
			flows.add(&s, func(*segment) { got++ })
		}
		if late < len(all)-8 && got != 4 {
			t.Errorf("keys after %d of %d segments: %d messages", late, len(all), got)
		}
	}
}

func TestKeyLog(t *testing.T) {
	random := strings.Repeat("0a", 32)
	for _, c := range []struct{ lines, says string }{
		{"# a comment\r\n\r\nCLIENT_RANDOM " + random + " " + strings.Repeat("bb", 48) + "\r\n", ""},
		{"RSA 0011223344556677 8899", ""},
		{"EXPORTER_SECRET " + random + " " + strings.Repeat("bb", 48), ""},
		{"\n\nCLIENT_RANDOM " + random + "\n", "line 3: a label, a client random and a secret are needed"},
		{"CLIENT_RANDOM " + strings.Repeat("zz", 32) + " " + strings.Repeat("bb", 48), "line 1: the client random"},
		{"CLIENT_RANDOM " + random + " bb", "line 1: the secret"},
	} {
		var k KeyLog
		err := k.Add([]byte(c.lines))
		if (err == nil) != (c.says == "") || err != nil && !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%q: %v", c.lines, err)
		}
	}
	var k KeyLog
	for i := range maxSecrets + 10 {
		var random [32]byte
		random[0], random[1], random[2] = byte(i), byte(i>>8), byte(i>>16)
		if err := k.line([]byte("CLIENT_RANDOM " + hexOf(random[:]) + " " + random64)); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.secrets) > maxSecrets || k.of([32]byte{0}) != nil {
		t.Errorf("%d secrets are held", len(k.secrets))
	}
}

var random64 = strings.Repeat("cc", 48)

func hexOf(b []byte) string { return hex.EncodeToString(b) }
