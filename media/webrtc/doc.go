// Package webrtc is the browser's leg: it brings RTP to a browser and from it,
// over ICE (RFC 8445) and DTLS-SRTP (RFC 5763, RFC 5764), as WebRTC wants it (RFC
// 8834, RFC 8835).
//
// Portero has an address that browsers can reach, so it is an ICE lite agent: it
// gathers nothing, checks nothing, and answers checks. All browsers share a few
// UDP sockets. A packet is taken of an address only after a check with the call's
// password came from there, and RTP only under the keys agreed with the holder of
// the certificate that the SDP names. The RTP inside is handed on as the browser
// made it: no jitter buffer, no congestion control, no change of a header.
//
// It knows nothing of SDP. It does no TURN, no ICE over TCP, no data channels.
package webrtc
