package trace

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"

	"github.com/pion/dtls/v3/pkg/crypto/ccm"
	"golang.org/x/crypto/chacha20poly1305"
)

const (
	versionTLS10 = 0x0301
	versionTLS12 = 0x0303
	versionTLS13 = 0x0304
)

// suite is what of a cipher suite matters for reading.
type suite struct {
	key   int // bytes
	fixed int // bytes of the nonce that come from the key block (TLS 1.2)
	mac   int // bytes, of block ciphers
	hash  func() hash.Hash
	aead  func(key []byte) (cipher.AEAD, error)
	block func(key []byte) (cipher.Block, error)
}

func gcm(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

func ccmOf(tag int) func([]byte) (cipher.AEAD, error) {
	return func(key []byte) (cipher.AEAD, error) {
		b, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return ccm.NewCCM(b, tag, 12)
	}
}

// suiteOf returns a suite by its number in the registry of IANA, nil when it is
// not read (RC4, Camellia, ARIA).
func suiteOf(id uint16) *suite {
	switch id {
	case 0x1301:
		return &suite{key: 16, hash: sha256.New, aead: gcm}
	case 0x1302:
		return &suite{key: 32, hash: sha512.New384, aead: gcm}
	case 0x1303:
		return &suite{key: 32, hash: sha256.New, aead: chacha20poly1305.New}
	case 0x1304:
		return &suite{key: 16, hash: sha256.New, aead: ccmOf(16)}
	case 0x1305:
		return &suite{key: 16, hash: sha256.New, aead: ccmOf(8)}
	case 0x009c, 0x009e, 0x00a0, 0x00a2, 0x00a6, 0x00a8, 0x00aa, 0xc02b, 0xc02d, 0xc02f, 0xc031, 0xd001:
		return &suite{key: 16, fixed: 4, hash: sha256.New, aead: gcm}
	case 0x009d, 0x009f, 0x00a1, 0x00a3, 0x00a7, 0x00a9, 0x00ab, 0xc02c, 0xc02e, 0xc030, 0xc032, 0xd002:
		return &suite{key: 32, fixed: 4, hash: sha512.New384, aead: gcm}
	case 0xcca8, 0xcca9, 0xccaa, 0xccab, 0xccac, 0xccad:
		return &suite{key: 32, fixed: 12, hash: sha256.New, aead: chacha20poly1305.New}
	case 0xc09c, 0xc09e, 0xc0a4, 0xc0a6, 0xc0ac:
		return &suite{key: 16, fixed: 4, hash: sha256.New, aead: ccmOf(16)}
	case 0xc09d, 0xc09f, 0xc0a5, 0xc0a7, 0xc0ad:
		return &suite{key: 32, fixed: 4, hash: sha256.New, aead: ccmOf(16)}
	case 0xc0a0, 0xc0a2, 0xc0a8, 0xc0aa, 0xc0ae:
		return &suite{key: 16, fixed: 4, hash: sha256.New, aead: ccmOf(8)}
	case 0xc0a1, 0xc0a3, 0xc0a9, 0xc0ab, 0xc0af:
		return &suite{key: 32, fixed: 4, hash: sha256.New, aead: ccmOf(8)}
	case 0x002f, 0x0030, 0x0031, 0x0032, 0x0033, 0x0034, 0x008c, 0xc004, 0xc009, 0xc00e, 0xc013, 0xc018, 0xc035:
		return &suite{key: 16, mac: 20, hash: sha256.New, block: aes.NewCipher}
	case 0x0035, 0x0036, 0x0037, 0x0038, 0x0039, 0x003a, 0x008d, 0xc005, 0xc00a, 0xc00f, 0xc014, 0xc019, 0xc036:
		return &suite{key: 32, mac: 20, hash: sha256.New, block: aes.NewCipher}
	case 0x003c, 0x003e, 0x003f, 0x0040, 0x0067, 0x006c, 0x00ae, 0xc023, 0xc025, 0xc027, 0xc029, 0xc037:
		return &suite{key: 16, mac: 32, hash: sha256.New, block: aes.NewCipher}
	case 0x003d, 0x0068, 0x0069, 0x006a, 0x006b, 0x006d:
		return &suite{key: 32, mac: 32, hash: sha256.New, block: aes.NewCipher}
	case 0x00af, 0xc024, 0xc026, 0xc028, 0xc02a, 0xc038:
		return &suite{key: 32, mac: 48, hash: sha512.New384, block: aes.NewCipher}
	case 0x000a, 0x000d, 0x0010, 0x0013, 0x0016, 0x001b, 0x008b, 0xc003, 0xc008, 0xc00d, 0xc012, 0xc017, 0xc034:
		return &suite{key: 24, mac: 20, hash: sha256.New, block: des.NewTripleDESCipher}
	}
	return nil
}

// opener decrypts the records of one direction, in order.
type opener interface {
	// open decrypts a record. Up to tries-1 records may be missing before it. The
	// plain text is valid until the next call.
	open(head, body []byte, tries int) ([]byte, bool)
}

// opener12 derives the keys of TLS 1.2 and before (RFC 5246 section 6.3); nil when
// the suite is not of that version.
func (s *suite) opener12(c *tlsConn, master []byte, server bool) opener {
	if s.aead != nil && s.fixed == 0 {
		return nil
	}
	iv := s.fixed
	var size int
	if s.block != nil {
		b, err := s.block(make([]byte, s.key))
		if err != nil {
			return nil
		}
		size = b.BlockSize()
		if c.version <= versionTLS10 {
			iv = size
		}
	}
	prf := func(label string, seed []byte, n int) []byte {
		if c.version < versionTLS12 {
			return prf10(master, label, seed, n)
		}
		return expand(s.hash, master, append([]byte(label), seed...), n)
	}
	block := prf("key expansion", append(c.server[:], c.client[:]...), 2*(s.mac+s.key+iv))
	cut := func(n int) []byte { // the client's and the server's follow each other
		mine := block[:n]
		if server {
			mine = block[n : 2*n]
		}
		block = block[2*n:]
		return mine
	}
	cut(s.mac)
	key, nonce := cut(s.key), cut(iv)
	if s.block != nil {
		b, err := s.block(key)
		if err != nil {
			return nil
		}
		o := &blockOpener{block: b, mac: s.mac, etm: c.etm}
		if c.version <= versionTLS10 {
			o.iv = nonce
		}
		return o
	}
	a, err := s.aead(key)
	if err != nil {
		return nil
	}
	return &aeadOpener{aead: a, nonce: nonce, explicit: 12 - s.fixed}
}

// opener13 derives the keys of TLS 1.3 (RFC 8446 section 7.3); nil when the suite
// is not of that version.
func (s *suite) opener13(secret []byte) opener {
	if s.aead == nil || s.fixed != 0 {
		return nil
	}
	a, err := s.aead(s.label(secret, "key", s.key))
	if err != nil {
		return nil
	}
	return &aeadOpener{aead: a, nonce: s.label(secret, "iv", 12), tls13: true}
}

// update derives the secret that follows (RFC 8446 section 7.2).
func (s *suite) update(secret []byte) []byte {
	return s.label(secret, "traffic upd", s.hash().Size())
}

// label is HKDF-Expand-Label without context (RFC 8446 section 7.1).
func (s *suite) label(secret []byte, label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(append(info, byte(6+len(label))), "tls13 "+label...)
	out, err := hkdf.Expand(s.hash, secret, string(append(info, 0)), n)
	if err != nil {
		return make([]byte, n) // too long for the hash: of no suite here
	}
	return out
}

// expand is P_hash of RFC 5246 section 5.
func expand(h func() hash.Hash, secret, seed []byte, n int) []byte {
	m := hmac.New(h, secret)
	out := make([]byte, 0, n+m.Size())
	for a := seed; len(out) < n; {
		m.Reset()
		m.Write(a)
		a = m.Sum(nil)
		m.Reset()
		m.Write(a)
		m.Write(seed)
		out = m.Sum(out)
	}
	return out[:n]
}

// prf10 is the pseudorandom function of TLS 1.0 and 1.1 (RFC 4346 section 5).
func prf10(secret []byte, label string, seed []byte, n int) []byte {
	seed = append([]byte(label), seed...)
	half := (len(secret) + 1) / 2
	out := expand(md5.New, secret[:half], seed, n)
	for i, b := range expand(sha1.New, secret[len(secret)-half:], seed, n) {
		out[i] ^= b
	}
	return out
}

// aeadOpener opens records of authenticated ciphers.
type aeadOpener struct {
	aead     cipher.AEAD
	nonce    []byte // 12 bytes, or the first of them when the rest is explicit
	explicit int    // bytes of the nonce that stand in the record
	tls13    bool
	seq      uint64
	buf      []byte
}

func (o *aeadOpener) open(head, body []byte, tries int) ([]byte, bool) {
	if len(body) < o.explicit+o.aead.Overhead() {
		return nil, false
	}
	var nonce [12]byte
	var more [13]byte
	for i := range uint64(tries) {
		seq := o.seq + i
		copy(nonce[:], o.nonce)
		if o.explicit > 0 {
			copy(nonce[12-o.explicit:], body[:o.explicit])
		} else {
			var n [8]byte
			binary.BigEndian.PutUint64(n[:], seq)
			for j, b := range n {
				nonce[4+j] ^= b
			}
		}
		additional := head
		if !o.tls13 { // RFC 5246 section 6.2.3.3
			binary.BigEndian.PutUint64(more[:], seq)
			copy(more[8:], head[:3])
			binary.BigEndian.PutUint16(more[11:], uint16(len(body)-o.explicit-o.aead.Overhead()))
			additional = more[:]
		}
		plain, err := o.aead.Open(o.buf[:0], nonce[:], body[o.explicit:], additional)
		if err == nil {
			o.buf = plain
			o.seq = seq + 1
			return plain, true
		}
	}
	return nil, false
}

// blockOpener opens records of block ciphers in CBC mode. Their authentication is
// not checked: a capture is what it is.
type blockOpener struct {
	block cipher.Block
	mac   int
	etm   bool
	iv    []byte // TLS 1.0: the last block of the record before; nil when it stands in the record
	buf   []byte
}

func (o *blockOpener) open(_, body []byte, tries int) ([]byte, bool) {
	size := o.block.BlockSize()
	if o.etm {
		if len(body) < o.mac {
			return nil, false
		}
		body = body[:len(body)-o.mac]
	}
	if len(body) == 0 || len(body)%size != 0 {
		return nil, false
	}
	last := append([]byte(nil), body[len(body)-size:]...)
	iv := o.iv
	chained := iv != nil
	if !chained {
		iv, body = body[:size], body[size:]
		if len(body) == 0 {
			return nil, false
		}
	}
	if chained {
		o.iv = last
	}
	o.buf = append(o.buf[:0], body...)
	cipher.NewCBCDecrypter(o.block, iv).CryptBlocks(o.buf, o.buf)
	padding := int(o.buf[len(o.buf)-1])
	end := len(o.buf) - padding - 1
	if !o.etm {
		end -= o.mac
	}
	if end < 0 {
		return nil, false
	}
	for _, b := range o.buf[len(o.buf)-padding-1:] {
		if int(b) != padding {
			return nil, false
		}
	}
	if chained && tries > 1 && end >= size { // what came before is missing, and with it the first block
		return o.buf[size:end], true
	}
	return o.buf[:end], true
}
