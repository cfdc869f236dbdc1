// phone.mjs URL STEP,STEP... [HOST=ADDRESS]...   a phone of a browser's kind (SIP.js) under Node.js
//
// Signalling only: its session descriptions are plain RTP to a port where nobody
// listens. It is 701 (password interop). Takes the steps below that are named, one
// after the other, prints what each came to and ends with 1 at the first that went
// otherwise.
import { WebSocket } from 'ws';

const [url, plan, ...options] = process.argv.slice(2);
const names = Object.fromEntries(options.map(o => o.split('=')));
// There is no DNS here: a name of the URL is looked up among the arguments, and
// the certificate is verified against it.
const lookup = (host, how, done) => how.all ? done(null, [{ address: names[host], family: 4 }]) : done(null, names[host], 4);
globalThis.WebSocket = class extends WebSocket {
	constructor(url, protocols) { super(url, protocols, names[new URL(url).hostname] ? { lookup } : {}); }
};
const { UserAgent, Registerer, Inviter, Messager, SessionState } = await import('sip.js');

const domain = 'pbx.test';
const uri = user => UserAgent.makeURI(`sip:${user}@${domain}`);

class Description {
	version = 0;
	direction = 'sendrecv';
	async getDescription() {
		return {
			contentType: 'application/sdp',
			body: ['v=0', `o=- 701 ${++this.version} IN IP4 127.0.60.22`, 's=-', 'c=IN IP4 127.0.60.22', 't=0 0',
				'm=audio 17900 RTP/AVP 0', 'a=rtpmap:0 PCMU/8000', `a=${this.direction}`, ''].join('\r\n'),
		};
	}
	hasDescription(type) { return type === 'application/sdp'; }
	async setDescription(sdp) { this.theirs = sdp; }
	async rollbackDescription() {}
	sendDtmf() { return false; }
	close() {}
}

const until = (what, start) => new Promise((ok, no) => {
	const timer = setTimeout(() => no(new Error(`waited 20 s in vain for ${what}`)), 20000);
	start(v => { clearTimeout(timer); ok(v); }, e => { clearTimeout(timer); no(e instanceof Error ? e : new Error(`${what}: ${e}`)); });
});
const reached = (session, state) => until(state, ok => {
	if (session.state === state) ok();
	session.stateChange.addListener(s => { if (s === state) ok(); });
});
const status = (what, send) => until(what, ok => send({
	onAccept: r => ok(r.message.statusCode),
	onReject: r => ok(r.message.statusCode),
}));
const want = (what, is, should) => {
	if (!(is === should)) throw new Error(`${what}: ${is}, not ${should}`);
	console.log(`${what}: ${is}`);
};

let called = () => {};
const phone = new UserAgent({
	uri: uri('701'), authorizationUsername: '701', authorizationPassword: 'interop',
	transportOptions: { server: url, connectionTimeout: 10 },
	sessionDescriptionHandlerFactory: () => new Description(),
	logBuiltinEnabled: true, logLevel: process.env.PHONE_LOG || 'error',
	delegate: { onInvite: i => called(i) },
});
const call = async user => {
	const session = new Inviter(phone, uri(user));
	const final = status(`INVITE ${user}`, d => session.invite({ requestDelegate: d }));
	return { session, final };
};

const steps = {
	async register() {
		const r = new Registerer(phone, { expires: 120 });
		want('REGISTER', await status('REGISTER', d => r.register({ requestDelegate: d })), 200);
		this.registerer = r;
	},
	async options() {
		const core = phone.userAgentCore;
		const m = core.makeOutgoingRequestMessage('OPTIONS', uri('600'), uri('701'), uri('600'), {});
		want('OPTIONS', await status('OPTIONS', d => core.request(m, d)), 200);
	},
	// A call, put on hold and taken off it by re-INVITE, that the phone hangs up.
	async caller() {
		const { session, final } = await call('600');
		want('INVITE', await final, 200);
		await reached(session, SessionState.Established);
		for (const [direction, theirs] of [['sendonly', 'recvonly'], ['sendrecv', 'sendrecv']]) {
			const description = session.sessionDescriptionHandler;
			description.direction = direction;
			want(`re-INVITE ${direction}`, await status('re-INVITE', d => session.invite({ requestDelegate: d })), 200);
			if (!description.theirs.includes(`a=${theirs}`) && theirs !== 'sendrecv') throw new Error(`held, but the answer is\n${description.theirs}`);
		}
		want('BYE', await status('BYE', d => session.bye({ requestDelegate: d })), 200);
	},
	async hungup() { // by the PBX
		const { session, final } = await call('601');
		want('INVITE', await final, 200);
		await reached(session, SessionState.Terminated);
		console.log('hung up by the PBX');
	},
	async cancel() {
		const session = new Inviter(phone, uri('606'));
		await until('180', (ok, no) => session.invite({ requestDelegate: {
			onProgress: r => { if (r.message.statusCode === 180) ok(); }, onReject: r => no(r.message.statusCode),
		} }));
		session.cancel();
		await reached(session, SessionState.Terminated);
		console.log('CANCEL');
	},
	async busy() {
		const { final } = await call('603');
		want('busy', await final, 486);
	},
	async message() {
		want('MESSAGE', await status('MESSAGE', d => new Messager(phone, uri('600'), url, 'text/plain').message({ requestDelegate: d })), 202);
	},
	// Is called as soon as it has registered, and hangs up.
	async called() {
		const invited = until('INVITE from the PBX', ok => { called = ok; });
		await this.register();
		const session = await invited;
		await session.accept();
		await reached(session, SessionState.Established);
		want('BYE', await status('BYE', d => session.bye({ requestDelegate: d })), 200);
	},
	async unregister() {
		want('REGISTER 0', await status('REGISTER', d => this.registerer.unregister({ requestDelegate: d })), 200);
	},
};

try {
	await phone.start();
	for (const name of plan.split(',')) {
		console.log(`- ${name}`);
		await steps[name]();
	}
	console.log('done');
	process.exit(0);
} catch (e) {
	console.log(`phone: ${e.stack || e}`);
	process.exit(1);
}
