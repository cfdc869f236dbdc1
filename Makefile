# Portero. Needs Debian 12, Go, git and make; what else a target needs it
# installs itself (root or sudo).
#
#   make               build ./portero
#   make demo          real calls through the door, on loopback, with what was judged and why
#                      (PBX=asterisk: in front of a real Asterisk)
#   make test          everything that must hold: style, vet, staticcheck, race tests, interoperability
#   make quick         style, vet, staticcheck and the tests that need neither Debian packages nor root
#   make fuzz          every fuzz target for FUZZTIME (10s); make test does it for 2s
#   make bench         every benchmark; make bench-calls: the CPU of a call
#   make bench-voice   the CPU of judging a voice, per second of audio
#   make bench-sip     the door beside Kamailio and Asterisk under the same load
#   make bench-media   the relay beside rtpengine and Asterisk under the same media; SOAK=30m: the door alone, long
#   make bench-trace   reading a long capture beside tshark, and its memory up to 2 GB
#   make clean         remove what was built; .cache/ (the Asterisk tree) stays

GO       ?= go
PBX      ?=
FUZZTIME ?= 10s
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
TESTFLAGS ?=

# What a test run tells: everything but that tests began and passed; so a
# skipped test is seen, with its reason.
SHELL := /bin/bash
TOLD  := awk '!/^ *(=== (RUN|PAUSE|CONT|NAME)|--- PASS)|^PASS$$/ { print; fflush() }'

.PHONY: all build demo test leak quick style fuzz bench bench-calls bench-voice bench-sip bench-media bench-trace clean

all: build

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o portero ./cmd/portero

demo: build
	testdata/interop/setup demo
	$(GO) run ./cmd/demo -portero ./portero -config configs/demo.yaml -pbx '$(PBX)'

# The race detector needs cgo; nothing of ours does.
test:
	testdata/interop/setup test pbx
	$(MAKE) --no-print-directory style
	$(MAKE) --no-print-directory fuzz FUZZTIME=2s
	@mkdir -p .cache
	set -o pipefail; CGO_ENABLED=1 PORTERO_INTEROP=1 $(GO) test -race -v -timeout 25m $(TESTFLAGS) ./... 2>&1 | tee .cache/test.log | $(TOLD)
	$(MAKE) --no-print-directory leak
	@if [ -z '$(TESTFLAGS)' ]; then CGO_ENABLED=0 $(GO) run ./cmd/conformance sip/README.md media/README.md .cache/test.log; \
	else echo "conformance: not looked at, as TESTFLAGS may leave tests out"; fi

# All 20,000 calls: the race detector's run makes do with a tenth.
leak:
	set -o pipefail; CGO_ENABLED=0 $(GO) test -v -timeout 10m -run '^TestLeak$$' ./sip/door/scenario 2>&1 | $(TOLD)

quick: style
	set -o pipefail; CGO_ENABLED=0 $(GO) test -v $(TESTFLAGS) ./... 2>&1 | $(TOLD)

style:
	@unformatted=$$(git ls-files -z '*.go' | xargs -0 -r gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	CGO_ENABLED=0 $(GO) vet ./...
	CGO_ENABLED=0 $(GO) tool staticcheck ./...

# A test binary fuzzes one target at a time; it is linked once a package. What is
# found interesting is forgotten, a crash is kept in testdata/fuzz of its package.
# A package with SQLite in it is not instrumented: that takes minutes. Go says
# "context deadline exceeded" when the time is up at a bad moment
# (go.dev/issue/75804, until 1.27); that is no finding.
fuzz:
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	for package in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -r -n1 dirname | sort -u); do \
		guided="-fuzz ."; if $(GO) list -test -deps "./$$package" | grep -q ^modernc.org/sqlite; then guided=; fi; \
		CGO_ENABLED=0 $(GO) test -c $$guided -o "$$dir/fuzz.test" "./$$package"; \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$package"/*_test.go); do \
			echo "$$package $$target"; \
			(cd "$$package" && timeout 600 "$$dir/fuzz.test" -test.run '^$$' -test.fuzz "^$$target$$" \
				-test.fuzztime $(FUZZTIME) -test.fuzzcachedir "$$dir/cache") >"$$dir/out" 2>&1 || \
				{ grep -q 'context deadline exceeded' "$$dir/out" && ! grep -q 'Failing input' "$$dir/out"; } || { cat "$$dir/out"; exit 1; }; \
		done; \
	done

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

# CPU of a call, with SIPp on both sides.
bench-calls:
	testdata/interop/bench-calls

bench-voice:
	$(GO) test -run '^$$' -bench 'Listener|Score' -benchmem ./media/voice

# What the door adds to a call, beside Kamailio and Asterisk under the same load;
# the script says what can be set.
bench-sip:
	testdata/interop/bench-sip

# What relaying a call's media costs, beside rtpengine and Asterisk; the script says
# what can be set.
bench-media:
	testdata/interop/bench-media

# What reading a long capture costs, beside tshark; the script says what can be set.
bench-trace:
	testdata/interop/bench-trace

clean:
	rm -f portero
