package scenario_test

import (
	"encoding/base64"
	"fmt"

	"github.com/pion/srtp/v3"

	"github.com/portero/portero/sip/sdp"
)

// encrypts has the caller send SRTP with a key from its session description.
func (d *testDoor) encrypts(suite, key string) error {
	b, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return fmt.Errorf("door encrypts: %w", err)
	}
	if suite != "AES_CM_128_HMAC_SHA1_80" || len(b) != sdp.SuiteBytes(suite) {
		return fmt.Errorf("door encrypts: no key of AES_CM_128_HMAC_SHA1_80, which is the only suite here")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cipher, err = srtp.CreateContext(b[:16], b[16:], srtp.ProtectionProfileAes128CmHmacSha1_80)
	return err
}

// sealed is a packet as the caller sends it.
func (d *testDoor) sealed(p []byte) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cipher == nil {
		return p
	}
	out, err := d.cipher.EncryptRTP(nil, p, nil)
	if err != nil {
		panic(err)
	}
	return out
}
