package replay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The dialog of the answering side, in SIPp's words: variables hold what the
// first INVITE said of the two, and what the newest INVITE's responses repeat.
const (
	ownTag    = "[pid]SIPpTag01[call_number]"
	takeFirst = `
    <action>
      <ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via"/>
      <ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>
      <ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/>
      <ereg regexp=".*" search_in="hdr" header="CSeq:" assign_to="cseq"/>
    </action>
  `
	takeAgain = `
    <action>
      <ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via"/>
      <ereg regexp=".*" search_in="hdr" header="CSeq:" assign_to="cseq"/>
    </action>
  `
)

// ExportSIPpAnswerer writes a recorded call as a scenario of SIPp that answers it
// as the far side did. See ExportSIPp.
func ExportSIPpAnswerer(r *Recording, audio string) (Scenario, error) {
	e := &exporter{rec: r, script: r.script(), audioName: audio, dialog: true}
	if len(e.script.attempts) == 0 {
		return Scenario{}, errors.New("the recording has no INVITE to begin with")
	}
	e.id = identity{tokens: newTokens(newRand()), target: Target{Host: markRemote}, local: markLocal, protocol: markTransport,
		media: sippPlace(), was: r.Far.Addr(), callID: markCall}
	packets := e.audible(r.answers)
	fmt.Fprintf(&e.out, "<?xml version=\"1.0\" encoding=\"us-ascii\"?>\n<!-- Who was called in a recorded call, %s to %s, Call-ID %s. -->\n<scenario name=\"%s\">\n",
		comment(r.From), comment(r.To), comment(r.CallID), attribute(r.CallID))
	invites, last := 0, ""
	for i, s := range r.steps {
		_, about := s.cseq()
		method := s.method()
		switch {
		case s.caller && s.code() > 0:
			if s.code() >= 200 {
				e.play(s.at)
				e.mustCome("  <recv response=\"%d\"/>\n", s.code())
				last = ""
			}
		case s.caller:
			e.play(s.at)
			take := ""
			if method == "INVITE" {
				if take = takeAgain; invites == 0 {
					take = takeFirst
				}
				invites++
			}
			if take != "" {
				e.mustCome("  <recv request=\"INVITE\" rrs=\"true\">%s</recv>\n", take)
			} else {
				e.mustCome("  <recv request=\"%s\"/>\n", attribute(method))
			}
			last = method
		case s.code() > 0:
			e.pause(s.at)
			e.answerRequest(s, about, last)
		default:
			e.play(s.at)
			e.pause(s.at)
			e.ask(i)
		}
		e.at = max(e.at, s.at)
		if !s.caller || method == "ACK" {
			e.play(e.next(i))
		}
	}
	if e.script.answered && !slices.ContainsFunc(r.steps, func(s step) bool { return s.method() == "BYE" }) {
		// The recording ends before the call does.
		e.mustCome("  <recv request=\"BYE\"/>\n")
		m := &message{start: []byte("SIP/2.0 200 OK"), end: []byte("\r\n")}
		m.insert(0, "Content-Length", nil)
		asReceived(m, "CSeq", "Call-ID", "To", "From", "Via")
		e.message("", m)
	}
	e.out.WriteString("  <Reference variables=\"via,from,to,cseq\"/>\n</scenario>\n")
	s := Scenario{XML: e.out.Bytes(), Notes: e.notes}
	if len(packets) > 0 {
		var err error
		if s.Audio, err = ethernet(packets); err != nil {
			return s, err
		}
	}
	return s, nil
}

// answerRequest writes a response of the far side's.
func (e *exporter) answerRequest(s step, about, last string) {
	m := flat(s.message)
	m.drop("Record-Route")
	e.id.contact(m)
	m.body = e.id.media.describe(m.body, e.id.was)
	retrans := ""
	if about == "INVITE" {
		tag := ";tag=" + ownTag
		if s.code() == 100 {
			tag = ""
		}
		stand(m, "Via", "[$via]", "From", "[$from]", "To", "[$to]"+tag, "CSeq", "[$cseq]", "Call-ID", " [call_id]")
		if last == "INVITE" && s.code() > 100 && s.code() < 300 {
			m.lines = slices.Insert(m.lines, 1, newLine([]byte("[last_Record-Route:]"+string(m.end))))
		}
		if s.code() >= 200 {
			retrans = " retrans=\"500\""
		}
	} else {
		asReceived(m, "Via", "From", "To", "Call-ID", "CSeq")
		if about == "CANCEL" {
			i := slices.IndexFunc(m.lines, func(l line) bool { return strings.HasPrefix(string(l.raw), "[last_To:]") })
			m.lines[i] = newLine([]byte("[last_To:];tag=" + ownTag + string(m.end)))
		}
	}
	e.message(retrans, m)
}

// stand puts values of SIPp's in place of headers; names and values by turns.
func stand(m *message, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		at := max(m.index(pairs[i]), 0)
		m.drop(pairs[i])
		m.lines = slices.Insert(m.lines, min(at, len(m.lines)), newLine([]byte(pairs[i]+":"+pairs[i+1]+string(m.end))))
	}
}

// ask writes a request of the far side's.
func (e *exporter) ask(i int) {
	s := e.rec.steps[i]
	method := s.method()
	m := flat(s.message)
	m.drop("Record-Route", "Route", "Authorization", "Proxy-Authorization")
	e.id.vias(m, markBranch)
	e.id.contact(m)
	m.setURI([]byte(markTarget))
	m.body = e.id.media.describe(m.body, e.id.was)
	stand(m, "From", "[$to];tag="+ownTag, "To", "[$from]", "Call-ID", " [call_id]")
	m.lines = slices.Insert(m.lines, min(m.index("Via")+1, len(m.lines)), newLine([]byte("Route: "+markRoute+string(m.end))))
	retrans := " retrans=\"500\""
	if method == "ACK" {
		retrans = ""
		for _, b := range slices.Backward(e.rec.steps[:i]) {
			if _, about := b.cseq(); b.caller && b.code() >= 200 && about == "INVITE" {
				if b.code() >= 300 {
					asReceived(m, "Via")
				}
				break
			}
		}
	}
	e.message(retrans, m)
	if method == "INVITE" {
		e.mayCome(100)
	}
}
