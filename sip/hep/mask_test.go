package hep

import (
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	const key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
	x := strings.Repeat("x", len(key))
	for in, want := range map[string]string{
		"INVITE sip:a@b SIP/2.0\r\nSubject: a=crypto:1 x inline:y\r\n\r\nm=audio 1 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20|1:4 WSH=64\r\na=ptime:20\r\n": "INVITE sip:a@b SIP/2.0\r\nSubject: a=crypto:1 x inline:y\r\n\r\nm=audio 1 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + x + "|2^20|1:4 WSH=64\r\na=ptime:20\r\n",
		"a= Crypto :1 S inline:" + key:                                 "a= Crypto :1 S inline:" + x,
		"a=crypto:1 S inline:" + key + "|1:4;inline:" + key + "|2:4\n": "a=crypto:1 S inline:" + x + "|1:4;inline:" + x + "|2:4\n",
		"a=crypto:1 S\r\na=b:c":                                        "a=crypto:1 S\r\na=b:c",
		"a=crypto:":                                                    "a=crypto:",
		"":                                                             "",
	} {
		b := []byte(in)
		Mask(b)
		if string(b) != want {
			t.Errorf("%q\nbecame %q\nwant   %q", in, b, want)
		}
	}
}
