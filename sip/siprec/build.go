package siprec

import (
	"encoding/xml"
	"time"
)

// Namespace is that of RFC 7865.
const Namespace = "urn:ietf:params:xml:ns:recording:1"

// Bytes writes the metadata as RFC 7865 has it.
func (m *Metadata) Bytes() []byte {
	type nameID struct {
		AoR  string `xml:"aor,attr,omitempty"`
		Name string `xml:"name,omitempty"`
	}
	type session struct {
		ID     string   `xml:"session_id,attr"`
		SIP    []string `xml:"sipSessionID"`
		Reason string   `xml:"reason,omitempty"`
		Group  string   `xml:"group-ref,omitempty"`
		Start  string   `xml:"start-time,omitempty"`
		Stop   string   `xml:"stop-time,omitempty"`
	}
	type participant struct {
		ID     string `xml:"participant_id,attr"`
		NameID nameID `xml:"nameID"`
	}
	type stream struct {
		ID      string `xml:"stream_id,attr"`
		Session string `xml:"session_id,attr,omitempty"`
		Label   string `xml:"label,omitempty"`
	}
	type joined struct {
		Participant string `xml:"participant_id,attr"`
		Session     string `xml:"session_id,attr"`
		Joined      string `xml:"associate-time,omitempty"`
		Left        string `xml:"disassociate-time,omitempty"`
	}
	type streams struct {
		Participant string   `xml:"participant_id,attr"`
		Send        []string `xml:"send"`
		Recv        []string `xml:"recv"`
	}
	doc := struct {
		XMLName      xml.Name      `xml:"recording"`
		Namespace    string        `xml:"xmlns,attr"`
		Mode         string        `xml:"datamode"`
		Sessions     []session     `xml:"session"`
		Participants []participant `xml:"participant"`
		Streams      []stream      `xml:"stream"`
		Joined       []joined      `xml:"participantsessionassoc"`
		Assocs       []streams     `xml:"participantstreamassoc"`
	}{Namespace: Namespace, Mode: "complete"}
	if m.Partial {
		doc.Mode = "partial"
	}
	of := ""
	for i, s := range m.Sessions {
		if i == 0 {
			of = s.ID
		}
		doc.Sessions = append(doc.Sessions, session{s.ID, s.SIP, s.Reason, s.Group, written(s.Start), written(s.Stop)})
	}
	for _, p := range m.Participants {
		doc.Participants = append(doc.Participants, participant{p.ID, nameID{p.AoR, p.Name}})
		if !p.Joined.IsZero() || !p.Left.IsZero() {
			doc.Joined = append(doc.Joined, joined{p.ID, of, written(p.Joined), written(p.Left)})
		}
		if len(p.Sends)+len(p.Hears) > 0 {
			doc.Assocs = append(doc.Assocs, streams{p.ID, p.Sends, p.Hears})
		}
	}
	for _, s := range m.Streams {
		doc.Streams = append(doc.Streams, stream(s))
	}
	b, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil // texts that XML cannot hold are replaced, not refused
	}
	return append([]byte(xml.Header), b...)
}

func written(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
