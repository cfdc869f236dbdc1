// A phone of one button, on SIP.js (MIT), which the browser loads as it is: no
// build. README.md beside it says how it gets here.
import { Web, UserAgent } from './node_modules/sip.js/lib/index.js';

const site = document.getElementById('phone').dataset;
const [call, hold, hangup, keys, state, voice] = ['call', 'hold', 'hangup', 'keys', 'state', 'voice'].map(id => document.getElementById(id));
let session; // the call; undefined: there is none
let held = false;

const say = text => { state.textContent = text; };
const show = talking => {
	call.disabled = !!session;
	hangup.disabled = !session;
	hold.disabled = keys.hidden = !talking;
};

const phone = new Web.SessionManager(site.server, {
	aor: site.caller,
	media: { constraints: { audio: true, video: false }, remote: { audio: voice } },
	sendDTMFUsingSessionDescriptionHandler: true, // keys as RFC 4733 events, not as INFO
	userAgentOptions: { logLevel: 'warn' },
	delegate: {
		onCallAnswered() { say('talking'); show(true); },
		onCallHold(_, is) { held = is; hold.textContent = held ? 'Resume' : 'Hold'; say(held ? 'on hold' : 'talking'); },
		onCallHangup() { session = undefined; held = false; hold.textContent = 'Hold'; say('ended'); show(false); },
		onServerDisconnect() { say('no connection'); },
	},
});

// Whatever fails is said, and leaves the page ready for another call.
const attempt = step => async event => {
	try {
		await step(event);
	} catch (fault) {
		console.error(fault);
		say(fault.message);
		if (!phone.managedSessions.length) { session = undefined; show(false); }
	}
};

call.onclick = attempt(async () => {
	session = true;
	show(false);
	say('calling');
	if (!phone.isConnected()) await phone.connect();
	session = await phone.call(site.number, {}, { requestDelegate: { onReject: r => say(`${r.message.statusCode} ${r.message.reasonPhrase}`) } });
});
hangup.onclick = attempt(() => phone.hangup(session));
hold.onclick = attempt(() => held ? phone.unhold(session) : phone.hold(session));
for (const key of '123456789*0#') {
	const b = document.createElement('button');
	b.textContent = key;
	b.onclick = attempt(() => phone.sendDTMF(session, key));
	keys.append(b);
}
window.addEventListener('pagehide', () => { if (session) phone.hangup(session); });
if (!UserAgent.makeURI(site.number) || !UserAgent.makeURI(site.caller)) say('the page names no number and caller: see README.md');
