# etcdplay's make targets. `make test` and `make check` are what CI runs.

GO       ?= go
VERSION  ?= 0.1.0
FUZZTIME ?= 10s
CACHE    := $(CURDIR)/.cache
ETCDS    := $(CACHE)/etcd
export CGO_ENABLED ?= 0

GOFILES  := $(shell git ls-files '*.go' 2>/dev/null)
LDFLAGS  := -s -w -X main.version=$(VERSION)

.PHONY: build test demo check fuzz bench vuln etcds clean

build: ## the program, bin/etcdplay
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/etcdplay ./cmd/etcdplay

demo: build ## replace a failed member of a genuine cluster, on this machine
	bin/etcdplay demo

test: build etcds ## everything, against genuine etcd of every supported version
	ETCDPLAY_ETCDS=$(ETCDS) $(GO) test -timeout 20m ./...

check: ## format, vet, staticcheck, the race detector, fuzzing for a moment
	@out=$$($(GO) tool gofumpt -l $(GOFILES)); test -z "$$out" || { echo "gofumpt would change:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags faultinject ./...
	$(GO) tool staticcheck ./...
	$(GO) test -tags faultinject -run Killed ./engine
	CGO_ENABLED=1 $(GO) test -race -short -timeout 20m ./engine/... ./hcl/... ./tasks/...
	$(MAKE) fuzz

fuzz: ## every fuzz target for FUZZTIME
	@set -e; for dir in $$(git grep -l --untracked '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$dir/*_test.go); do \
			echo "$$dir $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./$$dir; \
		done; \
	done

bench: build ## the figures of docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchmem ./...

vuln: ## known vulnerabilities in what is built; needs the vulnerability database
	$(GO) tool govulncheck ./...

# Genuine etcd, etcdctl and etcdutl of every supported version. 3.5 to 3.7 are
# built from their modules, each in a module of its own (their dependencies do
# not mix); 3.4 is Debian's, unpacked without being installed.
etcds: $(ETCDS)/3.5/etcd $(ETCDS)/3.6/etcd $(ETCDS)/3.7/etcd $(ETCDS)/3.4/etcd

$(ETCDS)/3.%/etcd: testdata/etcd/v3.%/go.mod
	@mkdir -p $(@D)
	$(GO) build -C testdata/etcd/v3.$* -trimpath -o $(@D)/etcdctl go.etcd.io/etcd/etcdctl/v3
	$(GO) build -C testdata/etcd/v3.$* -trimpath -o $(@D)/etcdutl go.etcd.io/etcd/etcdutl/v3
	$(GO) build -C testdata/etcd/v3.$* -trimpath -o $@ go.etcd.io/etcd/server/v3

$(ETCDS)/3.4/etcd:
	@mkdir -p $(@D)
	testdata/etcd/debian.sh $(@D)

clean:
	rm -rf bin $(CACHE)
