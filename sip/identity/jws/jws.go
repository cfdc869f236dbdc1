// Package jws makes and takes apart JSON Web Signatures (RFC 7515) in the one
// form that telephony uses: compact serialization, ES256 (RFC 7518 section
// 3.4). PASSporTs (RFC 8225) and the jCards of refusals (RFC 8688) are signed so.
//
// It refuses other algorithms, and to know what is signed.
package jws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// ErrSignature says that a signature does not fit what it signs.
var ErrSignature = errors.New("the signature does not fit the content")

// Split takes a compact JWS apart; header and payload are decoded, Signed is
// what the signature covers.
func Split(compact string) (header, payload, signature []byte, signed string, err error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, nil, nil, "", fmt.Errorf("a compact JWS has three parts, this has %d", len(parts))
	}
	for i, out := range []*[]byte{&header, &payload, &signature} {
		if *out, err = Decode(parts[i]); err != nil {
			return nil, nil, nil, "", fmt.Errorf("part %d of the JWS: %w", i+1, err)
		}
	}
	return header, payload, signature, parts[0] + "." + parts[1], nil
}

// Decode undoes base64url without padding (RFC 7515 section 2). Padding is
// forgiven: some signers leave it.
func Decode(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil, fmt.Errorf("not base64url: %w", err)
	}
	return b, nil
}

// Encode is base64url without padding.
func Encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Verify checks an ES256 signature, which is r and s, 32 bytes each.
func Verify(key *ecdsa.PublicKey, signed string, signature []byte) error {
	if key.Curve != elliptic.P256() {
		return errors.New("the key is not on P-256, which ES256 needs")
	}
	if len(signature) != 64 {
		return fmt.Errorf("an ES256 signature has 64 bytes, this has %d", len(signature))
	}
	digest := sha256.Sum256([]byte(signed))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return ErrSignature
	}
	return nil
}

// Sign makes a compact JWS of a header and a payload, both JSON. The header must
// say alg ES256.
func Sign(key *ecdsa.PrivateKey, header, payload []byte) (string, error) {
	if key.Curve != elliptic.P256() {
		return "", errors.New("the key is not on P-256, which ES256 needs")
	}
	signed := Encode(header) + "." + Encode(payload)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + Encode(signature), nil
}

// ParseKey reads a P-256 private key from PEM (PKCS #8 or SEC 1).
func ParseKey(text []byte) (*ecdsa.PrivateKey, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default:
			continue // EC PARAMETERS stands before the key in some files
		}
		if err != nil {
			return nil, fmt.Errorf("the private key cannot be read: %w", err)
		}
		if k, ok := key.(*ecdsa.PrivateKey); ok && k.Curve == elliptic.P256() {
			return k, nil
		}
		return nil, errors.New("the private key is not an ECDSA key on P-256")
	}
	return nil, errors.New("there is no PEM private key in it")
}
