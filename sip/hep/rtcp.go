package hep

import (
	"encoding/json"

	"github.com/pion/rtcp"
)

// report is RTCP as Homer reads it: the JSON of its own capture agents.
type report struct {
	Sender   *sender `json:"sender_information,omitempty"`
	SSRC     uint32  `json:"ssrc"`
	Type     int     `json:"type"` // RTCP packet type: 200 SR, 201 RR
	Count    int     `json:"report_count"`
	Blocks   []block `json:"report_blocks"`
	SDESSSRC uint32  `json:"sdes_ssrc"`
}

type sender struct {
	NTPSeconds uint32 `json:"ntp_timestamp_sec"`
	NTPMicros  uint32 `json:"ntp_timestamp_usec"`
	RTP        uint32 `json:"rtp_timestamp"`
	Packets    uint32 `json:"packets"`
	Octets     uint32 `json:"octets"`
}

type block struct {
	Source   uint32 `json:"source_ssrc"`
	Highest  uint32 `json:"highest_seq_no"`
	Fraction uint8  `json:"fraction_lost"`
	Jitter   uint32 `json:"ia_jitter"`
	Lost     uint32 `json:"packets_lost"`
	LSR      uint32 `json:"lsr"`
	DLSR     uint32 `json:"dlsr"`
}

// reportOf turns a compound packet into JSON; nil if it has no report.
func reportOf(data []byte) []byte {
	packets, err := rtcp.Unmarshal(data)
	if err != nil {
		return nil
	}
	var r report
	for _, p := range packets {
		var blocks []rtcp.ReceptionReport
		switch p := p.(type) {
		case *rtcp.SenderReport:
			r.SSRC, r.Type, blocks = p.SSRC, int(rtcp.TypeSenderReport), p.Reports
			r.Sender = &sender{NTPSeconds: uint32(p.NTPTime >> 32), NTPMicros: uint32(p.NTPTime & 0xffffffff * 1e6 >> 32),
				RTP: p.RTPTime, Packets: p.PacketCount, Octets: p.OctetCount}
		case *rtcp.ReceiverReport:
			r.SSRC, r.Type, blocks = p.SSRC, int(rtcp.TypeReceiverReport), p.Reports
		case *rtcp.SourceDescription:
			if len(p.Chunks) > 0 {
				r.SDESSSRC = p.Chunks[0].Source
			}
		}
		for _, b := range blocks {
			r.Blocks = append(r.Blocks, block{b.SSRC, b.LastSequenceNumber, b.FractionLost, b.Jitter, b.TotalLost, b.LastSenderReport, b.Delay})
		}
	}
	if r.Type == 0 {
		return nil
	}
	r.Count = len(r.Blocks)
	if r.Blocks == nil {
		r.Blocks = []block{}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil // cannot be: all fields are numbers
	}
	return b
}
