package verifier

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/portero/portero/sip/identity/stir"
	"github.com/portero/portero/sip/identity/stir/stirtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a repository of certificates at https://127.0.81.1:port with what is
// needed to sign calls.
type bed struct {
	ca     *stirtest.CA
	signer *stirtest.Signer
	url    string // of the server
	dir    string
	asked  atomic.Int32
	mu     sync.Mutex
	serve  http.HandlerFunc
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{ca: stirtest.NewCA(time.Now()), dir: t.TempDir()}
	b.signer = b.ca.Issue(nil)
	web := b.ca.Issue(func(c *x509.Certificate) {
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 81, 1)}
		c.DNSNames = []string{"localhost"}
	})
	cert := tls.Certificate{PrivateKey: web.Key}
	for _, c := range web.Chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	l, err := tls.Listen("tcp", "127.0.81.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	b.url = "https://" + l.Addr().String()
	b.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(stirtest.PEM(b.signer.Chain...)) })
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		b.mu.Lock()
		h := b.serve
		b.mu.Unlock()
		h(w, r)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	if err := os.WriteFile(b.file("root.pem"), stirtest.PEM(b.ca.Cert), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bed) file(name string) string { return filepath.Join(b.dir, name) }

func (b *bed) answer(h http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serve = h
}

// config allows the server and nothing else.
func (b *bed) config() Config {
	c := Defaults()
	c.Verify, c.Anchors, c.FetchCA = true, []string{b.file("root.pem")}, b.file("root.pem")
	c.FetchFrom, c.FetchPrivate = []string{strings.TrimPrefix(b.url, "https://")}, []string{"127.0.81.0/24"}
	c.Budget = 2 * time.Second // the machine may be busy
	return c
}

func (b *bed) open(t *testing.T, c Config) *Verifier {
	t.Helper()
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func (b *bed) invite(x5u string) []byte {
	return []byte("INVITE sip:+34915550101@pbx SIP/2.0\r\nFrom: <sip:+34600000001@c>;tag=1\r\nTo: <sip:+34915550101@pbx>\r\nIdentity: " +
		b.signer.Header(x5u, "shaken", stirtest.Shaken("34600000001", "34915550101", "A", time.Now())) + "\r\n\r\n")
}

func (b *bed) verify(v *Verifier, x5u string) stir.Result {
	return v.Verify(context.Background(), b.invite(x5u), time.Now(), false)
}

func want(t *testing.T, r stir.Result, verstat stir.Verstat, says string) {
	t.Helper()
	if r.Verstat != verstat || !strings.Contains(r.Reason, says) {
		t.Errorf("got %+v, want %s: %s", r, verstat, says)
	}
}

func TestFetch(t *testing.T) {
	b := newBed(t)
	v := b.open(t, b.config())
	for range 3 {
		want(t, b.verify(v, b.url+"/sp.pem"), stir.Passed, "attestation A")
	}
	if n := b.asked.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	if c := v.Counts(); c.Passed != 3 || c.Fetched != 1 || c.Hits < 2 || c.Cached != 1 {
		t.Errorf("counts %+v", c)
	}
}

// What is not to be fetched is not even asked for.
func TestRefusals(t *testing.T) {
	b := newBed(t)
	for _, c := range []struct {
		name, x5u string
		edit      func(*Config)
		says      string
	}{
		{"plain http", strings.Replace(b.url, "https", "http", 1), nil, "is not https"},
		{"another host", "https://evil.example/sp.pem", nil, "not among the hosts"},
		{"a user", strings.Replace(b.url, "://", "://a:b@", 1), nil, "with a user"},
		{"another port", "https://127.0.81.1:1/", nil, "not among the hosts"},
		{"a private address", b.url, func(c *Config) { c.FetchPrivate = nil }, "private or special"},
		{"a name that leads to one", strings.Replace(b.url, "127.0.81.1", "localhost", 1), func(c *Config) { c.FetchFrom = []string{"*:" + b.url[strings.LastIndexByte(b.url, ':')+1:]} }, "private or special"},
		{"no host allowed", b.url, func(c *Config) { c.FetchFrom = nil }, "not among the hosts"},
		{"no URL", "sp.pem", nil, "no URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := b.config()
			if c.edit != nil {
				c.edit(&cfg)
			}
			want(t, b.verify(b.open(t, cfg), c.x5u), stir.None, c.says)
		})
	}
	if n := b.asked.Load(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
}

func TestLimits(t *testing.T) {
	b := newBed(t)
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		says   string
	}{
		{"too large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 70000)) }, "larger than 65536"},
		{"no certificate", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, "no certificate"},
		{"not found", http.NotFound, "answers 404"},
		{"redirect elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		}, "not among the hosts"},
		{"redirect to http", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+"/", http.StatusFound)
		}, "is not https"},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }, "redirects"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.answer(c.answer)
			v := b.open(t, b.config())
			before := b.asked.Load()
			want(t, b.verify(v, b.url+"/a"), stir.None, c.says)
			asked := b.asked.Load() - before
			want(t, b.verify(v, b.url+"/a"), stir.None, c.says)
			if n := b.asked.Load() - before; n != asked {
				t.Errorf("a failure is not remembered: asked %d times, then %d", asked, n)
			}
		})
	}
	b.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a" {
			http.Redirect(w, r, "/b", http.StatusFound)
			return
		}
		_, _ = w.Write(stirtest.PEM(b.signer.Chain...))
	})
	want(t, b.verify(b.open(t, b.config()), b.url+"/a"), stir.Passed, "")
}

// A call waits for its budget; the fetch goes on and serves the next one. All
// calls that wait for a certificate have it fetched once.
func TestBudgetAndSingleFlight(t *testing.T) {
	b := newBed(t)
	release := make(chan struct{})
	b.answer(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = w.Write(stirtest.PEM(b.signer.Chain...))
	})
	cfg := b.config()
	cfg.Budget = 30 * time.Millisecond
	cfg.FetchTimeout = 30 * time.Second
	v := b.open(t, cfg)
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			r := b.verify(v, b.url+"/sp.pem")
			want(t, r, stir.None, "within the budget of 30ms")
			if r.Code != 436 {
				t.Errorf("code %d", r.Code)
			}
		})
	}
	calls.Wait()
	close(release)
	for deadline := time.Now().Add(10 * time.Second); v.Counts().Fetched == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the fetch never ends")
		}
		time.Sleep(time.Millisecond)
	}
	want(t, b.verify(v, b.url+"/sp.pem"), stir.Passed, "")
	if n := b.asked.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	if c := v.Counts(); c.Late != 20 {
		t.Errorf("counts %+v", c)
	}
}

func TestCrowd(t *testing.T) {
	b := newBed(t)
	release, came := make(chan struct{}), make(chan struct{}, 8)
	b.answer(func(w http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		<-release
	})
	cfg := b.config()
	cfg.FetchesAtOnce, cfg.Budget = 1, 20*time.Millisecond
	v := b.open(t, cfg)
	want(t, b.verify(v, b.url+"/1"), stir.None, "budget")
	<-came
	want(t, b.verify(v, b.url+"/2"), stir.None, "under way already")
	close(release)
}

// The cache holds so many, for so long, and what is out of date serves on while
// its server is down.
func TestCache(t *testing.T) {
	b := newBed(t)
	cfg := b.config()
	cfg.CacheSize = 3
	v := b.open(t, cfg)
	var skew atomic.Int64
	v.now = func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
	for i := range 10 {
		want(t, b.verify(v, fmt.Sprintf("%s/%d", b.url, i)), stir.Passed, "")
	}
	if n := v.Counts().Cached; n != 3 {
		t.Errorf("%d in the cache", n)
	}
	b.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		_, _ = w.Write(stirtest.PEM(b.signer.Chain...))
	})
	x5u := b.url + "/kept"
	want(t, b.verify(v, x5u), stir.Passed, "")
	asked := b.asked.Load()
	skew.Store(int64(9 * time.Minute))
	want(t, b.verify(v, x5u), stir.Passed, "")
	if n := b.asked.Load(); n != asked {
		t.Error("fetched again before its time")
	}
	b.answer(http.NotFound)
	skew.Store(int64(11 * time.Minute))
	want(t, b.verify(v, x5u), stir.Passed, "")
	if n := b.asked.Load(); n != asked+1 {
		t.Errorf("asked %d times", n-asked)
	}
	skew.Store(int64(25 * time.Hour))
	want(t, b.verify(v, x5u), stir.None, "404")
}

// A configured certificate is never fetched; anchors are read anew by Reload, and
// a configuration that is not good changes nothing.
func TestStoreAndReload(t *testing.T) {
	b := newBed(t)
	if err := os.WriteFile(b.file("sp.pem"), stirtest.PEM(b.signer.Chain...), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.Verify, cfg.Anchors = true, []string{b.file("root.pem")}
	cfg.Certificates = map[string]string{"https://cr.example/sp.pem": b.file("sp.pem")}
	v := b.open(t, cfg)
	want(t, b.verify(v, "https://cr.example/sp.pem"), stir.Passed, "")
	bad := cfg
	bad.Anchors = []string{b.file("absent.pem")}
	if err := v.Reload(bad); err == nil || !strings.Contains(err.Error(), "sip.identity.anchors[0]") {
		t.Errorf("Reload: %v", err)
	}
	want(t, b.verify(v, "https://cr.example/sp.pem"), stir.Passed, "")
	if err := os.WriteFile(b.file("root.pem"), stirtest.PEM(stirtest.NewCA(time.Now()).Cert), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := v.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	want(t, b.verify(v, "https://cr.example/sp.pem"), stir.Failed, "not one to trust")
	cfg.Verify = false
	if err := v.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if r, wait := v.AtOnce(b.invite("https://a/"), false); r != nil || wait {
		t.Errorf("switched off: %+v %v", r, wait)
	}
}

func TestAtOnce(t *testing.T) {
	b := newBed(t)
	v := b.open(t, b.config())
	if r, wait := v.AtOnce(b.invite("https://a/"), false); r != nil || !wait {
		t.Errorf("signed: %+v %v", r, wait)
	}
	if r, wait := v.AtOnce([]byte("INVITE sip:1@h SIP/2.0\r\nFrom: <sip:2@h>;tag=1\r\n\r\n"), false); r == nil || r.Code != 428 || wait {
		t.Errorf("unsigned: %+v %v", r, wait)
	}
	emergency := bytes.Replace(b.invite("https://a/"), []byte("sip:+34915550101@pbx SIP"), []byte("urn:service:sos SIP"), 1)
	if r, wait := v.AtOnce(emergency, false); r != nil || wait {
		t.Errorf("emergency: %+v %v", r, wait)
	}
}

func TestMayDial(t *testing.T) {
	m := (Config{FetchPrivate: []string{"10.1.0.0/16"}}).load(func(path, format string, args ...any) { t.Errorf(format, args...) })
	for address, ok := range map[string]bool{
		"93.184.216.34:443": true, "[2606:2800:220:1::1]:443": true, "10.1.2.3:443": true,
		"10.2.0.1:443": false, "127.0.0.1:443": false, "169.254.169.254:443": false, "192.168.1.1:443": false, "172.16.0.1:443": false,
		"100.64.1.1:443": false, "0.0.0.0:443": false, "[::1]:443": false, "[fe80::1%eth0]:443": false, "[fd00::1]:443": false,
		"[::ffff:127.0.0.1]:443": false, "[64:ff9b::7f00:1]:443": false, "224.0.0.1:443": false, "255.255.255.255:443": false, "192.0.2.1:443": false,
	} {
		if err := m.mayDial(address); (err == nil) != ok {
			t.Errorf("mayDial(%s) = %v", address, err)
		}
	}
}

func TestHosts(t *testing.T) {
	for _, c := range []struct {
		allowed, host, port string
		want                bool
	}{
		{"cr.example", "CR.example", "", true}, {"cr.example", "cr.example", "8443", true}, {"cr.example", "cr.example", "444", false},
		{"cr.example", "x.cr.example", "", false}, {"*.example", "cr.example", "443", true}, {"*.example", "example", "", false},
		{"*.example", "evilexample", "", false}, {"*", "anything", "", true}, {"*", "anything", "22", false}, {"cr.example:9000", "cr.example", "9000", true},
		{"cr.example:9000", "cr.example", "", false},
	} {
		h, err := parseHost(c.allowed)
		if err != nil || h.allows(c.host, c.port) != c.want {
			t.Errorf("%s allows %s:%s: %v %v", c.allowed, c.host, c.port, !c.want, err)
		}
	}
}

func TestCheck(t *testing.T) {
	c := Defaults()
	c.Check(func(path, format string, args ...any) {
		t.Errorf("defaults: %s: %s", path, fmt.Sprintf(format, args...))
	})
	c.Verify = true
	c.Certificates = map[string]string{"x": "y"}
	c.FetchFrom = []string{"a b", "x:", "https://a"}
	c.FetchPrivate = []string{"10"}
	c.Budget, c.MaxAge, c.CacheSize, c.CountryCode = 3*time.Second, 0, 0, "+34"
	var got []string
	c.Check(func(path, _ string, _ ...any) { got = append(got, path) })
	if s := strings.Join(got, " "); s != "anchors certificates.x fetch_from[0] fetch_from[1] fetch_from[2] fetch_private[0] budget max_age cache_size country_code" {
		t.Errorf("faults: %s", s)
	}
}
