package rules

import (
	"reflect"
	"time"

	"github.com/expr-lang/expr/vm"

	"github.com/portero/portero/policy"
)

// env is what an expression sees: the facts under their names, in plain types
// (expr does not compare a named string type with a string), and the functions.
// A test keeps it complete against policy.Facts.
type env struct {
	Stage         string    `expr:"stage"`
	Now           time.Time `expr:"now"`
	Class         string    `expr:"class"`
	PMachine      float64   `expr:"p_machine"`
	From          string    `expr:"from"`
	FromHost      string    `expr:"from_host"`
	DisplayName   string    `expr:"display_name"`
	Anonymous     bool      `expr:"anonymous"`
	To            string    `expr:"to"`
	Trunk         string    `expr:"trunk"`
	Emergency     bool      `expr:"emergency"`
	Relay         bool      `expr:"relay"`
	Allowed       bool      `expr:"allowed"`
	Signed        bool      `expr:"signed"`
	Verstat       string    `expr:"verstat"`
	Attestation   string    `expr:"attestation"`
	OrigID        string    `expr:"origid"`
	IdentityCode  int       `expr:"identity_code"`
	Diverted      bool      `expr:"diverted"`
	RichName      string    `expr:"rich_name"`
	CallReason    string    `expr:"call_reason"`
	CallInfo      []string  `expr:"call_info"`
	Capabilities  []string  `expr:"capabilities"`
	Automata      bool      `expr:"automata"`
	Actor         string    `expr:"actor"`
	Stack         string    `expr:"stack"`
	UserAgent     string    `expr:"user_agent"`
	PrintID       string    `expr:"print"`
	Signature     string    `expr:"signature"`
	SignatureKind string    `expr:"signature_kind"`
	Signatures    []string  `expr:"signatures"`
	HeardSeconds  float64   `expr:"heard_seconds"`
	SpeechSeconds float64   `expr:"speech_seconds"`
	Sound         string    `expr:"sound"`
	Distant       bool      `expr:"distant"`
	TextTelephone bool      `expr:"text_telephone"`
	TextOffered   bool      `expr:"text_offered"`
	Digits        string    `expr:"digits"`
	WaitSeconds   float64   `expr:"wait_seconds"`
	Screened      bool      `expr:"screened"`
	AgentsBusy    int       `expr:"agents_busy"`
	AgentsFree    int       `expr:"agents_free"`
	CallsNow      int       `expr:"calls_now"`
	CallsMinute   int       `expr:"calls_minute"`
	Surge         float64   `expr:"surge"`
	Campaign      int       `expr:"campaign"`

	InList   func(string) bool    `expr:"in_list"`
	Evidence func(string) float64 `expr:"evidence"`
	Has      func(string) bool    `expr:"has"`

	set    *Set
	ev     []policy.Evidence
	number string // From in the form of Number
	vm     vm.VM  // kept, since a new one costs more than a rule
}

// newEnv binds the functions once, so that asking the rules allocates nothing
// for them.
func newEnv(s *Set) *env {
	e := &env{set: s}
	e.InList = func(name string) bool {
		l := e.set.lists[name]
		return l != nil && l.match(e.number)
	}
	e.Evidence = func(name string) float64 {
		for _, item := range e.ev {
			if item.Name == name {
				return item.LLR
			}
		}
		return 0
	}
	e.Has = func(name string) bool {
		for _, item := range e.ev {
			if item.Name == name {
				return true
			}
		}
		return false
	}
	return e
}

// load takes over the facts of one call.
func (e *env) load(f *policy.Facts, ev []policy.Evidence) {
	e.Stage, e.Now = string(f.Stage), f.Now
	e.Class, e.PMachine = string(f.Class), f.PMachine
	e.From, e.FromHost, e.DisplayName, e.Anonymous = f.From, f.FromHost, f.DisplayName, f.Anonymous
	e.To, e.Trunk = f.To, f.Trunk
	e.Emergency, e.Relay, e.Allowed = f.Emergency, f.Relay, f.Allowed
	e.Signed, e.Verstat, e.Attestation, e.OrigID = f.Signed, f.Verstat, f.Attestation, f.OrigID
	e.IdentityCode, e.Diverted, e.RichName = f.IdentityCode, f.Diverted, f.RichName
	e.CallReason, e.CallInfo, e.Capabilities = f.CallReason, f.CallInfo, f.Capabilities
	e.Automata, e.Actor = f.Automata, f.Actor
	e.Stack, e.UserAgent, e.PrintID = f.Stack, f.UserAgent, f.PrintID
	e.Signature, e.SignatureKind, e.Signatures = f.Signature, f.SignatureKind, f.Signatures
	e.HeardSeconds, e.SpeechSeconds = f.HeardSeconds, f.SpeechSeconds
	e.Sound, e.Distant = f.Sound, f.Distant
	e.TextTelephone, e.TextOffered = f.TextTelephone, f.TextOffered
	e.Digits, e.WaitSeconds, e.Screened = f.Digits, f.WaitSeconds, f.Screened
	e.AgentsBusy, e.AgentsFree = f.AgentsBusy, f.AgentsFree
	e.CallsNow, e.CallsMinute, e.Surge = f.CallsNow, f.CallsMinute, f.Surge
	e.Campaign = f.Campaign
	e.ev, e.number = ev, Number(f.From)
}

// factNames are the names an expression may use, in the order of the env.
var factNames = func() []string {
	var out []string
	t := reflect.TypeFor[env]()
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("expr"); name != "" {
			out = append(out, name)
		}
	}
	return out
}()
