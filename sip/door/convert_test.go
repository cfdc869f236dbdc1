package door

import (
	"fmt"
	"strings"
	"testing"

	"github.com/portero/portero/sip/sdp"
)

// audioSection is a description with one audio section of payload types, each
// "PT" or "PT name/clock".
func audioSection(t testing.TB, types ...string) *sdp.Description {
	t.Helper()
	formats, maps := "", ""
	for _, s := range types {
		pt, name, dynamic := strings.Cut(s, " ")
		formats += " " + pt
		if dynamic {
			maps += "a=rtpmap:" + s + "\r\n"
		}
		_ = name
	}
	d, err := sdp.Parse([]byte("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP" + formats + "\r\n" + maps))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestChanges is what becomes of each payload type between sides that agreed on
// different things.
func TestChanges(t *testing.T) {
	type list = []string
	keys101, keys96, keys48 := "101 telephone-event/8000", "96 telephone-event/8000", "110 telephone-event/48000"
	for _, c := range []struct {
		name             string
		told, own, takes list
		want             string // FROM>TO, with ! where the audio is converted
		needed           bool
	}{
		{"the same", list{"0", "8", keys101}, list{"0", "8", keys101}, list{"8", "0", keys101}, "0>0 8>8 101>101", false},
		{"the other law", list{"8"}, nil, list{"0"}, "8>0!", true},
		{"keys by another number", list{"0", keys101}, nil, list{"0", keys96}, "0>0 101>96", true},
		{"numbers crossed", list{"97 opus/48000/2", "98 telephone-event/8000"}, nil, list{"98 opus/48000/2", "97 telephone-event/8000"}, "97>98 98>97", true},
		{"G.722 to a law", list{"9", "0"}, nil, list{"8"}, "9>8! 0>8!", true},
		{"a law rather than G.722", list{"8"}, nil, list{"9", "0"}, "8>0!", true},
		{"G.722 if there is no law", list{"8"}, nil, list{"9"}, "8>9!", true},
		{"a law of a dynamic type", list{"100 PCMU/8000"}, nil, list{"0"}, "100>0", true},
		{"what only the sender said", list{"8"}, list{"8", "0"}, list{"8"}, "8>8 0>8!", false},
		{"Opus cannot be converted", list{"96 opus/48000/2", "0"}, nil, list{"0"}, "0>0", false},
		{"keys by another clock pass", list{"0", keys48}, nil, list{"0", keys101}, "0>0", false},
		{"comfort noise passes", list{"8", "13"}, nil, list{"0"}, "8>0!", true},
		{"mono and stereo differ", list{"96 L16/8000/2"}, nil, list{"97 L16/8000"}, "", false},
	} {
		all, needed := changes(codecsOf(audioSection(t, c.told...)), codecsOf(audioSection(t, c.own...)), codecsOf(audioSection(t, c.takes...)))
		got := ""
		for _, x := range all {
			got += fmt.Sprintf("%d>%d%s ", x.From, x.To, map[bool]string{true: "!"}[x.Audio != nil])
		}
		if strings.TrimSpace(got) != c.want || needed != c.needed {
			t.Errorf("%s: %s needed %t", c.name, got, needed)
		}
	}
}

// TestUnderstood is an answer to an offer that a law was added to.
func TestUnderstood(t *testing.T) {
	pcma, _ := sdp.Static(8)
	for _, c := range []struct {
		name          string
		answer, offer []string
		want          string
	}{
		{"with what was offered", []string{"0", "8", "101 telephone-event/8000"}, []string{"0", "101 telephone-event/8000"}, "0 101"},
		{"with what was added alone", []string{"8", "96 telephone-event/8000"}, []string{"0", "101 telephone-event/8000"}, "0 96"},
		{"to one who offered a number of his own", []string{"8"}, []string{"97 opus/48000/2", "98 PCMU/8000"}, "98"},
	} {
		d := understood(audioSection(t, c.answer...), audioSection(t, c.offer...), []sdp.Codec{pcma})
		if got := strings.Join(audioOf(d).Formats, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if s := string(d.Bytes()); strings.Contains(s, "rtpmap:8 ") {
			t.Errorf("%s: the added law is still described: %s", c.name, s)
		}
	}
	answer := audioSection(t, "8")
	if understood(answer, audioSection(t, "0"), nil) != answer {
		t.Error("an answer to an offer that nothing was added to was changed")
	}
}
