package sdp

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The key of RFC 4568 section 4.1's example.
const inlineKey = "inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj"

func TestParseCrypto(t *testing.T) {
	key, _ := base64.StdEncoding.DecodeString("NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj")
	long := base64.StdEncoding.EncodeToString(make([]byte, 46))
	gcm := base64.StdEncoding.EncodeToString(make([]byte, 28))
	for _, c := range []struct {
		in   string
		want Crypto
	}{
		{"1 AES_CM_128_HMAC_SHA1_80 " + inlineKey, Crypto{1, "AES_CM_128_HMAC_SHA1_80", key, nil, 0}},
		{"12 aes_cm_128_hmac_sha1_32 " + inlineKey + "|2^20|1:4", Crypto{12, "AES_CM_128_HMAC_SHA1_32", key, []byte{0, 0, 0, 1}, 0}},
		{"3 AES_CM_128_HMAC_SHA1_80 " + inlineKey + "|1066:2 WSH=128 KDR=0 -XYZ=1", Crypto{3, "AES_CM_128_HMAC_SHA1_80", key, []byte{4, 42}, 128}},
		{"4 AES_CM_128_HMAC_SHA1_80 " + inlineKey + "|1048576", Crypto{4, "AES_CM_128_HMAC_SHA1_80", key, nil, 0}},
		{"5 AES_256_CM_HMAC_SHA1_80 inline:" + strings.TrimRight(long, "="), Crypto{5, "AES_256_CM_HMAC_SHA1_80", make([]byte, 46), nil, 0}},
		{"6 AEAD_AES_128_GCM inline:" + gcm + " WSH=60000", Crypto{6, "AEAD_AES_128_GCM", make([]byte, 28), nil, 1024}},
	} {
		got, err := ParseCrypto(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.in, diff)
		}
		if again, err := ParseCrypto(got.String()); err != nil || !cmp.Equal(got, again) {
			t.Errorf("%s comes back as %s", c.in, got)
		}
	}
}

// What cannot be kept is refused, and no error shows a key.
func TestParseCryptoRefuses(t *testing.T) {
	const suite = "AES_CM_128_HMAC_SHA1_80 "
	for _, c := range []struct{ in, want string }{
		{"1 " + suite, "needs tag, suite and key"},
		{"0 " + suite + inlineKey, "tag"},
		{"x " + suite + inlineKey, "tag"},
		{"1234567890 " + suite + inlineKey, "tag"},
		{"1 F8_128_HMAC_SHA1_80 " + inlineKey, "not known"},
		{"1 NULL_HMAC_SHA1_80 " + inlineKey, "not known"},
		{"1 AES_256_CM_HMAC_SHA1_80 " + inlineKey, "46 bytes, not 30"},
		{"1 " + suite + "inline:????", "not base64"},
		{"1 " + suite + "uri:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj", "not inline"},
		{"1 " + suite + inlineKey + "|1:4;" + inlineKey + "|2:4", "several keys"},
		{"1 " + suite + inlineKey + "|2^49", "lifetime"},
		{"1 " + suite + inlineKey + "|0", "over"},
		{"1 " + suite + inlineKey + "|x", "lifetime"},
		{"1 " + suite + inlineKey + "|1:0", "MKI"},
		{"1 " + suite + inlineKey + "|1:129", "MKI"},
		{"1 " + suite + inlineKey + "|300:1", "MKI"},
		{"1 " + suite + inlineKey + "|2^20|1:4|x", "more than"},
		{"1 " + suite + inlineKey + " KDR=3", "KDR"},
		{"1 " + suite + inlineKey + " UNENCRYPTED_SRTP", "UNENCRYPTED_SRTP"},
		{"1 " + suite + inlineKey + " UNENCRYPTED_SRTCP", "UNENCRYPTED_SRTCP"},
		{"1 " + suite + inlineKey + " UNAUTHENTICATED_SRTP", "UNAUTHENTICATED_SRTP"},
		{"1 " + suite + inlineKey + " FEC_ORDER=FEC_SRTP", "FEC_ORDER"},
		{"1 " + suite + inlineKey + " WSH=10", "WSH"},
		{"1 " + suite + inlineKey + " XYZ", "XYZ"},
	} {
		_, err := ParseCrypto(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.in, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "NzB4d1BI") {
			t.Errorf("the key is in %q", err)
		}
	}
	if _, err := ParseCrypto("1 F8_128_HMAC_SHA1_80 " + inlineKey); !errors.Is(err, ErrSuite) {
		t.Errorf("%v is not ErrSuite", err)
	}
}

func TestCryptos(t *testing.T) {
	d, err := Parse([]byte("v=0\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 NEW " + inlineKey + "\r\na=crypto:2 AES_CM_128_HMAC_SHA1_32 " + inlineKey +
		"\r\na=Crypto:3 AES_CM_128_HMAC_SHA1_80 " + inlineKey + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.Media[0].Cryptos()
	if len(all) != 2 || all[0].Tag != 2 || all[1].Tag != 3 || !errors.Is(err, ErrSuite) {
		t.Errorf("%v, %v", all, err)
	}
}

func FuzzParseCrypto(f *testing.F) {
	f.Add("1 AES_CM_128_HMAC_SHA1_80 " + inlineKey + "|2^20|1:4 WSH=128")
	f.Add("1 AEAD_AES_256_GCM inline:" + base64.StdEncoding.EncodeToString(make([]byte, 44)) + " -X")
	f.Fuzz(func(t *testing.T, v string) {
		c, err := ParseCrypto(v)
		if err != nil {
			return
		}
		again, err := ParseCrypto(c.String())
		if err != nil || !cmp.Equal(c, again) {
			t.Errorf("%q became %q: %v", v, c, err)
		}
	})
}
