package jws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
)

func TestSignAndVerify(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token, err := Sign(key, []byte(`{"alg":"ES256"}`), []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	header, payload, signature, signed, err := Split(token)
	if err != nil || string(header) != `{"alg":"ES256"}` || string(payload) != `{"a":1}` {
		t.Fatalf("Split: %s %s %v", header, payload, err)
	}
	if err := Verify(&key.PublicKey, signed, signature); err != nil {
		t.Error(err)
	}
	if err := Verify(&key.PublicKey, signed+"x", signature); !errors.Is(err, ErrSignature) {
		t.Errorf("changed content: %v", err)
	}
	if err := Verify(&key.PublicKey, signed, signature[:63]); err == nil {
		t.Error("a short signature passes")
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(other, nil, nil); err == nil {
		t.Error("a P-384 key signs ES256")
	}
}

// The example of RFC 7515 appendix A.3.
func TestRFC7515A3(t *testing.T) {
	const token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	x, _ := Decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")
	y, _ := Decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	if err != nil {
		t.Fatal(err)
	}
	_, _, signature, signed, err := Split(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(key, signed, signature); err != nil {
		t.Error(err)
	}
}

func TestParseKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"SEC 1":   {Type: "EC PRIVATE KEY", Bytes: sec1},
		"PKCS #8": {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		text := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + string(pem.EncodeToMemory(block))
		got, err := ParseKey([]byte(text))
		if err != nil || !got.Equal(key) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseKey([]byte("nothing")); err == nil || !strings.Contains(err.Error(), "no PEM private key") {
		t.Errorf("no key: %v", err)
	}
}
