package siprec

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
)

// The media types of metadata: RFC 7865's, and RFC 7866's own until RFC 9806.
const (
	MetadataType = "application/rs-metadata+xml"
	oldType      = "application/rs-metadata"
)

// maxParts bounds the parts of one body.
const maxParts = 16

// Find returns the metadata in a body, alone or as a part of a multipart body
// (RFC 7866 section 9.1); nil if there is none. The error says why the body's
// parts cannot be told apart.
func Find(contentType string, body []byte) ([]byte, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil || len(body) == 0:
		return nil, nil
	case isMetadata(kind):
		return body, nil
	case !strings.HasPrefix(kind, "multipart/"):
		return nil, nil
	}
	if params["boundary"] == "" {
		return nil, fmt.Errorf("siprec: %s without a boundary", kind)
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for n := 0; ; n++ {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("siprec: a part of the body: %w", err)
		}
		if n == maxParts {
			return nil, fmt.Errorf("siprec: more than %d parts in a body", maxParts)
		}
		if kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type")); err != nil || !isMetadata(kind) {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(p, MaxSize+1))
		if err != nil {
			return nil, fmt.Errorf("siprec: the metadata's part: %w", err)
		}
		return b, nil
	}
}

func isMetadata(kind string) bool { return kind == MetadataType || kind == oldType }
