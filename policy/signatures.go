package policy

// SignatureKinds are the kinds of makes that signatures name: what a call was
// made by, and not who made it. Those from carrier on carry people and machines
// alike.
var SignatureKinds = []string{"scanner", "load-tool", "agent-platform", "dialer", "carrier", "gateway", "pbx", "phone", "library"}
