package door

import (
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/identity/stir"
)

func TestUnverified(t *testing.T) {
	for in, want := range map[string]string{
		`<https://a/>;purpose=icon`:                                           `<https://a/>;purpose=icon`,
		`<https://a/>;verified;purpose=icon`:                                  `<https://a/>;purpose=icon`,
		`<https://a/;verified>;Verified=true`:                                 `<https://a/;verified>`,
		`<https://a/>;call-reason="x;verified";verified, <b>;verified`:        `<https://a/>;call-reason="x;verified", <b>`,
		`<https://a/>;unverified;verified2=1;call-reason="\";verified"`:       `<https://a/>;unverified;verified2=1;call-reason="\";verified"`,
		`<https://a/> ; verified ;purpose=card,<https://b/>;purpose=verified`: `<https://a/> ;purpose=card,<https://b/>;purpose=verified`,
	} {
		if got := unverified(in); got != want {
			t.Errorf("unverified(%s)\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestVerstat(t *testing.T) {
	for in, want := range map[string]string{
		"sip:+1202@h;user=phone":                             "sip:+1202;verstat=TN-Validation-Passed@h;user=phone",
		"sip:+1202;verstat=No-TN-Validation;x=y@h;verstat=z": "sip:+1202;x=y;verstat=TN-Validation-Passed@h",
		"sips:%2B1@h": "sips:%2B1@h",
		"sip:alice@h": "sip:alice@h",
		"sip:h":       "sip:h",
		"tel:+1-202":  "tel:+1-202;verstat=TN-Validation-Passed",
		"tel:7042;phone-context=+34;VERSTAT=TN-Validation-Failed":  "tel:7042;phone-context=+34;verstat=TN-Validation-Passed",
		"sip:0301;phone-context=+49@h;user=phone":                  "sip:0301;phone-context=+49;verstat=TN-Validation-Passed@h;user=phone",
		"sip:+1202;verstat=TN-Validation-Passed;verstat=again@h":   "sip:+1202;verstat=TN-Validation-Passed@h",
		"sip:anonymous@anonymous.invalid;verstat=No-TN-Validation": "sip:anonymous@anonymous.invalid;verstat=No-TN-Validation",
	} {
		var u sipmsg.Uri
		if err := sipmsg.ParseUri(in, &u); err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		got := withVerstat(u, stir.Passed)
		if got.String() != want {
			t.Errorf("withVerstat(%s)\n got %s\nwant %s", in, got.String(), want)
		}
		if clean := withoutVerstat(got); strings.Contains(strings.ToLower(clean.String()), "verstat") {
			t.Errorf("withoutVerstat leaves %s", clean.String())
		}
	}
}

// Whatever an untrusted trunk writes, nothing that it asserts goes on.
func FuzzDistrust(f *testing.F) {
	f.Add("sip:+1202;verstat=TN-Validation-Passed@h;user=phone", `<https://a/>;verified;call-reason="x"`, "P-Asserted-Identity")
	f.Add("tel:+1;verstat=x", `"`, "p-ASSERTED-identity")
	f.Fuzz(func(t *testing.T, uri, info, name string) {
		if unverified(unverified(info)) != unverified(info) {
			t.Errorf("unverified(%q) changes twice", info)
		}
		var u sipmsg.Uri
		if sipmsg.ParseUri(uri, &u) == nil {
			clean := withoutVerstat(u)
			if _, has := clean.UriParams.Get("verstat"); has {
				t.Errorf("%q keeps its verstat: %s", uri, clean.String())
			}
			if _, params, _ := strings.Cut(clean.User, ";"); strings.HasPrefix(strings.ToLower(params), "verstat=") {
				t.Errorf("%q keeps its verstat: %s", uri, clean.User)
			}
			_ = withVerstat(u, stir.Failed)
		}
		req := sipmsg.NewRequest(sipmsg.INVITE, sipmsg.Uri{Scheme: "sip", Host: "h"})
		req.AppendHeader(sipmsg.NewHeader(name, info))
		req.AppendHeader(sipmsg.NewHeader("Call-Info", info))
		distrust(req)
		for _, h := range req.Headers() {
			if claimed[strings.ToLower(h.Name())] {
				t.Errorf("%s stays", h.Name())
			}
		}
	})
}
