package siprec

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

var at = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func call() *Metadata {
	return &Metadata{
		Sessions: []Session{{ID: "c1", SIP: []string{"ab;remote=cd"}, Group: "g", Start: at}},
		Participants: []Participant{
			{ID: "bob", AoR: "sip:100@pbx.example", Name: "Bob", Joined: at.Add(2 * time.Second), Sends: []string{"s2"}, Hears: []string{"s1"}},
			{ID: "ann", AoR: "sip:+34600000001@carrier.example;user=phone", Joined: at, Sends: []string{"s1"}, Hears: []string{"s2"}},
		},
		Streams: []Stream{{ID: "s1", Session: "c1", Label: "96"}, {ID: "s2", Session: "c1", Label: "97"}},
	}
}

func TestRoundTrip(t *testing.T) {
	want := call()
	got, err := Parse(want.Bytes())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%+v\n%+v", err, got, want)
	}
}

// The caller is who was there first, else who is named first and says anything.
func TestCaller(t *testing.T) {
	for name, tc := range map[string]struct {
		change      func(*Metadata)
		user, label string
	}{
		"first to join":    {func(*Metadata) {}, "+34600000001", "96"},
		"nobody's time":    {func(m *Metadata) { m.Participants[0].Joined, m.Participants[1].Joined = time.Time{}, time.Time{} }, "100", "97"},
		"at once":          {func(m *Metadata) { m.Participants[1].Joined = m.Participants[0].Joined }, "100", "97"},
		"one says nothing": {func(m *Metadata) { m.Participants[1].Sends = nil }, "100", "97"},
		"no label":         {func(m *Metadata) { m.Streams[0].Label = "" }, "100", "97"},
		"a mix is nobody's": {func(m *Metadata) {
			m.Participants[0].Sends, m.Participants[1].Sends = []string{"s1", "s2"}, []string{"s1"}
		}, "100", "97"},
		"nobody says anything": {func(m *Metadata) { m.Streams = nil }, "", ""},
	} {
		m := call()
		tc.change(m)
		who, label, ok := m.Caller()
		if who.User() != tc.user || label != tc.label || ok != (label != "") {
			t.Errorf("%s: %s by %q, %t", name, who.User(), label, ok)
		}
	}
	m := call()
	if p, ok := m.Sender("97"); !ok || p.ID != "bob" {
		t.Errorf("97 is sent by %+v", p)
	}
	if p, ok := m.Other(m.Participants[0]); !ok || p.ID != "ann" {
		t.Errorf("the other is %+v", p)
	}
}

// As the drafts had it, which many clients still write: other attributes, the
// streams within the participant, an address in an element.
func TestDrafts(t *testing.T) {
	m, err := Parse([]byte(`<?xml version="1.0"?>
<r:recording xmlns:r="urn:ietf:params:xml:ns:recording"><r:dataMode>complete</r:dataMode>
 <r:session id="a1"><r:start-time>2026-03-01T09:00:00Z</r:start-time></r:session>
 <r:participant id="p1" session="a1"><r:nameID><r:aor>tel:+4930123</r:aor><r:name>Ann &amp; co</r:name></r:nameID><r:send>x1</r:send><r:recv>x2</r:recv></r:participant>
 <r:participant id="p2" session="a1"><r:nameID aor="sip:200@pbx"/><r:send>x2</r:send></r:participant>
 <r:stream id="x1" session="a1"><r:label>1</r:label></r:stream>
 <r:stream id="x2" session="a1"><r:label>2</r:label></r:stream>
 <r:extensiondata id="z"><any xmlns="x"><label>9</label></any></r:extensiondata>
</r:recording>`))
	if err != nil {
		t.Fatal(err)
	}
	who, label, ok := m.Caller()
	if !ok || who.User() != "+4930123" || who.Name != "Ann & co" || label != "1" || !m.Sessions[0].Start.Equal(at) || len(m.Streams) != 2 {
		t.Errorf("%+v, %s, %+v", who, label, m)
	}
}

// The stream that is wanted, or the caller's, or the first; and who speaks in it.
func TestChoose(t *testing.T) {
	for _, tc := range []struct {
		wanted      string
		labels      []string
		at          int
		who, called string
	}{
		{"", []string{"97", "96"}, 1, "ann", "bob"},
		{"97", []string{"96", "97"}, 1, "bob", "ann"},
		{"5", []string{"96", "97"}, 0, "ann", "bob"},
		{"", []string{"97"}, 0, "bob", "ann"},
		{"", []string{"", "x"}, 0, "", ""},
		{"", nil, 0, "", ""},
	} {
		at, who, called := call().Choose(tc.wanted, tc.labels)
		if at != tc.at || who.ID != tc.who || called.ID != tc.called {
			t.Errorf("%q of %q: %d, %s called %s", tc.wanted, tc.labels, at, who.ID, called.ID)
		}
	}
	if at, who, _ := (&Metadata{}).Choose("", []string{"1", "2"}); at != 0 || who.ID != "" {
		t.Errorf("without metadata: %d, %+v", at, who)
	}
}

func TestUpdate(t *testing.T) {
	m := call()
	partial, err := Parse([]byte(`<recording xmlns="` + Namespace + `"><datamode>partial</datamode>
 <session session_id="c1"><stop-time>2026-03-01T09:05:00Z</stop-time></session>
 <participant participant_id="eve"><nameID aor="sip:300@pbx.example"/></participant>
 <participantsessionassoc participant_id="bob" session_id="c1"><disassociate-time>2026-03-01T09:04:00Z</disassociate-time></participantsessionassoc>
 <participantstreamassoc participant_id="eve"><send>s3</send></participantstreamassoc>
 <stream stream_id="s3" session_id="c1"><label>98</label></stream>
</recording>`))
	if err != nil {
		t.Fatal(err)
	}
	m.Update(partial)
	if m.Sessions[0].Stop.IsZero() || m.Sessions[0].Group != "g" || len(m.Participants) != 3 || m.Participants[0].AoR != "sip:100@pbx.example" ||
		m.Participants[0].Left.IsZero() || !m.Participants[0].Joined.Equal(at.Add(2*time.Second)) || len(m.Streams) != 3 {
		t.Errorf("%+v", m)
	}
	if who, label, _ := m.Caller(); who.ID != "ann" || label != "96" {
		t.Errorf("the caller is %s now, %s", who.ID, label)
	}
	whole := &Metadata{Sessions: []Session{{ID: "c2"}}}
	if m.Update(whole); len(m.Participants) != 0 || m.Sessions[0].ID != "c2" {
		t.Errorf("%+v", m)
	}
}

// What a document may not be, and what it may not cost.
func TestParseFaults(t *testing.T) {
	many := strings.Repeat("<participant/>", 3000)
	for name, tc := range map[string]struct{ doc, want string }{
		"nothing":         {"", "without a recording element"},
		"another":         {"<html/>", "begins with no recording element"},
		"no XML":          {"recording", "without a recording element"},
		"cut":             {"<recording><session>", "XML syntax error"},
		"a document type": {`<!DOCTYPE r [<!ENTITY a "b">]><recording/>`, "document type"},
		"an entity":       {"<recording><x>&a;</x></recording>", "invalid character entity"},
		"deep":            {"<recording>" + strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40) + "</recording>", "elements deep"},
		"many":            {"<recording>" + many + "</recording>", "more than 2000 elements"},
		"long":            {"<recording>" + strings.Repeat(" ", MaxSize) + "</recording>", "bytes"},
		"another charset": {`<?xml version="1.0" encoding="ebcdic"?><recording/>`, "encoding"},
		"twice":           {"<recording><recording/></recording>", "within another"},
	} {
		if m, err := Parse([]byte(tc.doc)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %+v, %v, want %q", name, m, err, tc.want)
		}
	}
	m, err := Parse([]byte("<recording>" + strings.Repeat(`<participant id="p"><name>`+strings.Repeat("é\x1b", 10)+strings.Repeat("x", 400)+"</name></participant>", 1)))
	if err == nil {
		t.Errorf("control characters are no XML: %+v", m)
	}
	m, err = Parse([]byte("<recording>" + strings.Repeat(`<participant id="p"><nameID><name>`+strings.Repeat("é", 300)+"</name></nameID></participant>", 80) + "</recording>"))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Participants) != maxItems || len(m.Participants[0].Name) > maxText {
		t.Errorf("%d participants, a name of %d bytes", len(m.Participants), len(m.Participants[0].Name))
	}
}

const multi = "--edge\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--edge\r\nContent-Type: %s\r\nContent-Disposition: recording-session\r\n\r\n<recording/>\r\n--edge--\r\n"

func TestFind(t *testing.T) {
	for name, tc := range map[string]struct{ contentType, body, want, fault string }{
		"alone":       {"application/rs-metadata+xml", "<recording/>", "<recording/>", ""},
		"a part":      {"multipart/mixed;boundary=edge", fmt.Sprintf(multi, "application/rs-metadata+xml"), "<recording/>", ""},
		"by RFC 7866": {`Multipart/Mixed; boundary="edge"`, fmt.Sprintf(multi, "Application/RS-Metadata;x=y"), "<recording/>", ""},
		"none":        {"multipart/mixed;boundary=edge", fmt.Sprintf(multi, "text/plain"), "", ""},
		"SDP":         {"application/sdp", "v=0", "", ""},
		"no boundary": {"multipart/mixed", "x", "", "without a boundary"},
		"cut":         {"multipart/mixed;boundary=edge", "--edge\r\nContent-Type: a/b\r\n\r\nxx", "", "a part of the body"},
		"many":        {"multipart/mixed;boundary=edge", strings.Repeat("--edge\r\nContent-Type: a/b\r\n\r\nxx\r\n", 40) + "--edge--", "", "more than 16"},
		"nonsense":    {";;", "x", "", ""},
	} {
		got, err := Find(tc.contentType, []byte(tc.body))
		if string(got) != tc.want || (err == nil) != (tc.fault == "") || err != nil && !strings.Contains(err.Error(), tc.fault) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Whatever comes, what was read can be written, read again, and is the same.
func FuzzParse(f *testing.F) {
	f.Add(call().Bytes())
	f.Add([]byte("<recording><datamode>partial</datamode><participant id='a'><send>b</send></participant></recording>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		m, err := Parse(doc)
		if err != nil {
			return
		}
		_, _, _ = m.Caller()
		again, err := Parse(m.Bytes())
		if err != nil {
			t.Fatalf("%v\n%s", err, m.Bytes())
		}
		if len(again.Participants) < len(m.Participants) || len(again.Streams) != len(m.Streams) || again.Partial != m.Partial {
			t.Fatalf("%+v\n%+v", m, again)
		}
		both := call()
		both.Update(m)
		if len(both.Participants) > maxItems || len(both.Streams) > maxItems || len(both.Sessions) > maxItems {
			t.Fatalf("%+v", both)
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("multipart/mixed;boundary=edge", []byte(fmt.Sprintf(multi, MetadataType)))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		if b, _ := Find(contentType, body); len(b) > max(len(body), MaxSize+1) {
			t.Fatal("longer than it was")
		}
	})
}
