#!/bin/bash
# make-transports.sh [DIRECTORY]   make the captures of other transports again
#
# SIPp calls SIPp through two Kamailios, in a network namespace of its own:
#
#   tls13.pcapng     TLS 1.3 between the proxies; the secrets are in the file
#   tls12.pcap       TLS 1.2 with AES-CBC and encrypt-then-MAC; tls12.keys has the secrets
#   wss.pcapng       a phone (SIP.js) calls over secure WebSocket; the secrets are in the file
#   hep.pcap.zst     what the first proxy mirrors by HEP of a call
#
# Kamailio writes no key log, so a library put before OpenSSL's does. Needs root, what
# testdata/interop/setup test installs, and besides openssl, zstd, and editcap of
# wireshark-common. Times, tags and keys are others with each run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
if [ "${PORTERO_NAMESPACE:-}" = "" ]; then
	exec env PORTERO_NAMESPACE=own unshare -n "$0" "$out"
fi
tmp=$(mktemp -d)
pids=()
stop() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	sleep 1
	for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
	pids=()
}
trap 'stop; rm -rf "$tmp"' EXIT

ip link set lo up
for i in 1 2 10 20 30; do ip addr add "192.0.2.$i/32" dev lo; done

cat >"$tmp/keylog.c" <<'C'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
static void line(const void *ssl, const char *text) {
	(void)ssl;
	FILE *f = fopen(getenv("SSLKEYLOGFILE"), "a");
	if (f) { fprintf(f, "%s\n", text); fclose(f); }
}
void *SSL_new(void *ctx) {
	void *lib = dlopen("libssl.so.3", RTLD_LAZY);
	((void (*)(void *, void (*)(const void *, const char *)))dlsym(lib, "SSL_CTX_set_keylog_callback"))(ctx, line);
	return ((void *(*)(void *))dlsym(lib, "SSL_new"))(ctx);
}
C
gcc -shared -fPIC -o "$tmp/keylog.so" "$tmp/keylog.c" -ldl
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$tmp/key.pem" -out "$tmp/cert.pem" -days 2 -subj /CN=proxy.example 2>/dev/null

cat >"$tmp/proxy.cfg" <<'CFG'
#!KAMAILIO
debug=1
log_stderror=yes
children=1
tcp_children=1
dns=no
rev_dns=no
server_signature=no
auto_aliases=no
enable_tls=yes
tcp_accept_no_cl=yes
listen=UDPAT
listen=TLSAT
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "tls.so"
modparam("tls", "config", TLSCONF)
loadmodule "xhttp.so"
loadmodule "websocket.so"
loadmodule "nathelper.so"
#!ifdef HEP
loadmodule "siptrace.so"
modparam("siptrace", "duplicate_uri", HEP)
modparam("siptrace", "hep_mode_on", 1)
modparam("siptrace", "hep_version", 3)
modparam("siptrace", "trace_to_database", 0)
modparam("siptrace", "trace_on", 1)
modparam("siptrace", "trace_mode", 1)
#!endif
event_route[xhttp:request] {
	set_reply_close();
	set_reply_no_connect();
	if ($hdr(Upgrade) =~ "websocket" && ws_handle_handshake()) exit;
	xhttp_reply("404", "Not Found", "", "");
}
onreply_route { if ($proto =~ "^ws") add_contact_alias(); }
request_route {
	if ($proto =~ "^ws") {
		force_rport();
		if (is_method("INVITE")) add_contact_alias();
	}
	if (has_totag()) {
		if (loose_route()) {
			if ($du == $null) handle_ruri_alias();
			t_relay();
		} else if (is_method("ACK") && t_check_trans()) t_relay();
		exit;
	}
	if (is_method("INVITE")) record_route();
	$du = NEXT;
	t_relay();
}
CFG

# proxy NAME NUMBER NEXT TLS-METHOD CIPHERS [KAMAILIO'S OPTIONS]
proxy() {
	printf '[server:default]\nmethod = %s\ncipher_list = %s\nverify_certificate = no\nprivate_key = %s\ncertificate = %s\n[client:default]\nmethod = %s\nverify_certificate = no\n' \
		"$4" "$5" "$tmp/key.pem" "$tmp/cert.pem" "$4" >"$tmp/$1.tls"
	LD_PRELOAD=$tmp/keylog.so SSLKEYLOGFILE=$tmp/keys kamailio -DD -E -f "$tmp/proxy.cfg" -P "$tmp/$1.pid" -Y "$tmp" -w "$tmp" -m 64 -M 8 \
		-A "UDPAT=udp:192.0.2.$2:5060" -A "TLSAT=tls:192.0.2.$2:5061" -A "TLSCONF=\"$tmp/$1.tls\"" -A "NEXT=\"$3\"" "${@:6}" >"$tmp/$1.log" 2>&1 &
	pids+=($!)
}

# film NAME FILTER TLS-METHOD CIPHERS CALLER...   captures a call
film() {
	local name=$1 filter=$2 method=$3 ciphers=$4
	shift 4
	rm -f "$tmp/keys"
	tcpdump -Z root -i lo -U --immediate-mode -w "$tmp/$name.pcap" "$filter" 2>/dev/null &
	pids+=($!)
	proxy a 10 "sip:192.0.2.20:5061;transport=tls" "$method" "$ciphers" -A 'HEP="sip:192.0.2.30:9060"'
	proxy b 20 "sip:192.0.2.2:5060" "$method" "$ciphers"
	sipp -sn uas -i 192.0.2.2 -p 5060 -nostdin >/dev/null 2>&1 &
	pids+=($!)
	sleep 3
	"$@" >"$tmp/caller.log" 2>&1 || { tail -n 20 "$tmp/caller.log" "$tmp/a.log" >&2; exit 1; }
	sleep 1
	stop
}

sippcall() { timeout 20 sipp -sn uac -i 192.0.2.1 -p 5060 192.0.2.10:5060 -m 2 -r 2 -d 300 -nostdin; }

cat >"$tmp/phone.mjs" <<'JS'
import { createRequire } from 'module';
const require = createRequire(process.argv[2] + '/');
globalThis.WebSocket = require('ws').WebSocket;
const { UserAgent, Inviter, SessionState } = require('sip.js');
const sdp = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 17900 RTP/AVP 0\r\n';
const phone = new UserAgent({
	uri: UserAgent.makeURI('sip:phone@proxy.example'), logBuiltinEnabled: false,
	transportOptions: { server: 'wss://192.0.2.10:5061' },
	sessionDescriptionHandlerFactory: () => ({ getDescription: async () => ({ contentType: 'application/sdp', body: sdp }),
		hasDescription: type => type === 'application/sdp', async setDescription() {}, async rollbackDescription() {}, sendDtmf() {}, close() {} }),
});
await phone.start();
const call = new Inviter(phone, UserAgent.makeURI('sip:service@proxy.example'));
call.stateChange.addListener(state => {
	if (state === SessionState.Established) setTimeout(() => call.bye(), 300);
	if (state === SessionState.Terminated) setTimeout(() => process.exit(0), 500);
});
await call.invite();
setTimeout(() => process.exit(1), 10000);
JS
phonecall() {
	NODE_TLS_REJECT_UNAUTHORIZED=0 timeout 20 node --no-warnings "$tmp/phone.mjs" "$here/../interop/phones"
}

film tls13 "tcp port 5061" TLSv1.2+ DEFAULT sippcall
editcap --inject-secrets "tls,$tmp/keys" "$tmp/tls13.pcap" "$out/tls13.pcapng" 2>/dev/null
film tls12 "tcp port 5061" TLSv1.2 ECDHE-ECDSA-AES256-SHA sippcall
cp "$tmp/tls12.pcap" "$out/tls12.pcap"
cp "$tmp/keys" "$out/tls12.keys"
film hep "udp port 9060" TLSv1.2+ DEFAULT sippcall
zstd -q -19 -f "$tmp/hep.pcap" -o "$out/hep.pcap.zst"
film wss "tcp port 5061 and host 192.0.2.10 and not host 192.0.2.20" TLSv1.2+ DEFAULT phonecall
editcap --inject-secrets "tls,$tmp/keys" "$tmp/wss.pcap" "$out/wss.pcapng" 2>/dev/null
ls -l "$out"/tls13.pcapng "$out"/tls12.pcap "$out"/tls12.keys "$out"/hep.pcap.zst "$out"/wss.pcapng
