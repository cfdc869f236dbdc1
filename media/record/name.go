package record

import (
	"regexp"
	"strings"
	"time"
)

// part is what a file's name ends with until it is finished.
const part = ".part"

// ours are the names of finished and unfinished files; nothing else in the
// directory is ever touched.
var ours = regexp.MustCompile(`^\d{8}T\d{6}Z_[a-z0-9]{1,32}_[A-Za-z0-9.-]{1,48}\.(wav|pcapng)(\.part)?$`)

// maxCallID is how much of a Call-ID a name has.
const maxCallID = 48

// name is a file's: when the recording began, the door's own id of the call,
// which alone makes it unique with the time, and the Call-ID as far as a name may
// have it.
func name(at time.Time, id, callID, format string) string {
	return at.UTC().Format("20060102T150405Z") + "_" + plain(id, 32, false) + "_" + plain(callID, maxCallID, true) + "." + format
}

// plain is s with nothing in it that a file system, a shell or a person could
// take for something else.
func plain(s string, most int, rich bool) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() == most {
			break
		}
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		case rich && (r >= 'A' && r <= 'Z' || r == '.' && b.Len() > 0):
		case rich:
			r = '-'
		default:
			continue
		}
		b.WriteRune(r)
	}
	if b.Len() == 0 {
		return "0"
	}
	return b.String()
}
