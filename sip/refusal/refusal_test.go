package refusal

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/sip/identity/jws"
)

var now = time.Unix(1790000000, 0)

func (a Answer) String() string {
	s := fmt.Sprintf("%d %s", a.Status, a.Phrase)
	for _, h := range a.Headers {
		s += " | " + h.Name + ": " + h.Value
	}
	return s
}

func TestProfiles(t *testing.T) {
	redress := Redress{Name: "Acme", URL: "https://acme.example/blocked", Tel: "+15550100", Email: "abuse@acme.example"}
	able, verified := Caller{Understands608: true}, Caller{Understands608: true, Verified: true}
	for _, c := range []struct {
		name    string
		edit    func(*Config)
		profile string
		caller  Caller
		want    string
	}{
		{"default", nil, "", Caller{}, `603 Decline | Reason: SIP;cause=603;text="P200-flood.1" | Error-Info: <https://acme.example/blocked>`},
		{"no redress", func(c *Config) { c.Redress = Redress{} }, "603", Caller{}, `603 Decline | Reason: SIP;cause=603;text="P200-flood.1"`},
		{"603+", nil, "603+", Caller{}, `603 Network Blocked | Reason: SIP;cause=603;text="v=analytics1;url=https://acme.example/blocked;tel=+15550100;email=abuse@acme.example;id=P200-flood_1";location=RPN`},
		{"603+ of a transit network", func(c *Config) { c.Location, c.Redress = "TN", Redress{Tel: "+15550100"} }, "603+", Caller{},
			`603 Network Blocked | Reason: SIP;cause=603;text="v=analytics1;tel=+15550100;id=P200-flood_1";location=TN`},
		{"607", func(c *Config) { c.Redress = Redress{Email: "a@b.example"} }, "607", Caller{}, `607 Unwanted | Reason: SIP;cause=607;text="P200-flood.1" | Error-Info: <mailto:a@b.example>`},
		{"608, not understood", nil, "608", Caller{}, `603 Decline | Reason: SIP;cause=603;text="P200-flood.1" | Error-Info: <https://acme.example/blocked>`},
		{"608, not understood, 603+", func(c *Config) { c.Without608 = "603+" }, "608", Caller{}, `603 Network Blocked | *`},
		{"608, no card", nil, "608", verified, `608 Rejected | Reason: SIP;cause=608;text="P200-flood.1"`},
		{"608, card published", func(c *Config) { c.Card.URL = "https://acme.example/card" }, "608", verified,
			`608 Rejected | Reason: SIP;cause=608;text="P200-flood.1" | Call-Info: <https://acme.example/card>;purpose=jwscard`},
		{"608, nobody known", func(c *Config) { c.Card.URL = "https://acme.example/card" }, "608", able, `608 Rejected | Reason: SIP;cause=608;text="P200-flood.1"`},
		{"608, card for any", func(c *Config) { c.Card.URL, c.Card.For = "https://acme.example/card", "any" }, "608", able,
			`608 Rejected | Reason: SIP;cause=608;text="P200-flood.1" | Call-Info: <https://acme.example/card>;purpose=jwscard`},
		{"configured profile", func(c *Config) { c.Profile = "607" }, "", Caller{}, "607 Unwanted | *"},
	} {
		cfg := Defaults()
		cfg.Redress = redress
		if c.edit != nil {
			c.edit(&cfg)
		}
		cfg.Check(func(path, format string, args ...any) {
			t.Errorf("%s: %s: %s", c.name, path, fmt.Sprintf(format, args...))
		})
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		got := r.Profile(c.profile, "P200-flood.1", c.caller, now).String()
		if want, open := strings.CutSuffix(c.want, "*"); got != want && !(open && strings.HasPrefix(got, want)) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	r, _ := New(Defaults())
	if got := r.Status(486, "a\"b\\c\r\nX: y").String(); got != `486 Busy Here | Reason: SIP;cause=486;text="abcX: y"` {
		t.Errorf("status: %s", got)
	}
}

// The card is a JWS that whoever has the certificate can check.
func TestCard(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.Redress = Redress{Name: "Acme", Email: "abuse@acme.example", Tel: "+15550100"}
	cfg.Card = Card{Key: filepath.Join(t.TempDir(), "key.pem"), X5U: "https://acme.example/cert.pem", For: "any"}
	if err := os.WriteFile(cfg.Card.Key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := func(path, format string, args ...any) { t.Errorf("%s: %s", path, fmt.Sprintf(format, args...)) }
	cfg.Check(bad)
	cfg.CheckFiles(bad)
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a := r.Profile("608", "P200-x", Caller{Understands608: true}, now)
	token, ok := strings.CutPrefix(a.Headers[1].Value, "<data:application/jose,")
	token, ok2 := strings.CutSuffix(token, ">;purpose=jwscard")
	if !ok || !ok2 {
		t.Fatalf("Call-Info: %s", a.Headers[1].Value)
	}
	head, body, signature, signed, err := jws.Split(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := jws.Verify(&key.PublicKey, signed, signature); err != nil {
		t.Error(err)
	}
	if string(head) != `{"alg":"ES256","typ":"vcard+json","x5u":"https://acme.example/cert.pem"}` {
		t.Errorf("header %s", head)
	}
	var payload struct {
		IAT   int64 `json:"iat"`
		JCard []any `json:"jcard"`
	}
	if err := json.Unmarshal(body, &payload); err != nil || payload.IAT != now.Unix() ||
		fmt.Sprint(payload.JCard) != "[vcard [[version map[] text 4.0] [fn map[] text Acme] [tel map[type:voice] uri tel:+15550100] [email map[] text abuse@acme.example]]]" {
		t.Errorf("payload %s: %v", body, err)
	}
}

func TestCheck(t *testing.T) {
	c := Config{Profile: "603+", Without608: "608", Location: "here", Redress: Redress{URL: "http://a"}, Card: Card{URL: "x", Key: "y", For: "all"}}
	c.Redress.URL = ""
	c.Redress.Name = "x"
	var got []string
	note := func(path, _ string, _ ...any) { got = append(got, path) }
	c.Check(note)
	c.CheckFiles(note)
	c = Defaults()
	c.Profile, c.Redress = "609", Redress{URL: "https://a/\"x", Tel: "0301", Email: "a b"}
	c.Check(note)
	if s := strings.Join(got, " "); s != "profile without_608 location card.url card.key card.x5u card.for card.key profile redress.url redress.tel redress.email" {
		t.Errorf("faults: %s", s)
	}
}
