// Package refusal says what a refused caller is told: the profiles 603, 603+
// (ATIS-1000099), 607 (RFC 8197) and 608 (RFC 8688), and plain statuses. Each
// answer has Portero's reason code and, where one is configured, a contact for
// whoever was refused by mistake.
//
//	profile  status line             Reason                                   besides
//	603      603 Decline             SIP;cause=603;text="CODE"                Error-Info
//	603+     603 Network Blocked     SIP;cause=603;text="v=analytics1;url=…;  -
//	                                 tel=…;email=…;id=CODE";location=RPN
//	607      607 Unwanted            SIP;cause=607;text="CODE"                Error-Info
//	608      608 Rejected            SIP;cause=608;text="CODE"                Call-Info with a signed jCard
//
// It is pure but for reading its key. It refuses to decide whom to refuse
// (policy/rules), and to send anything (sip/door).
package refusal
