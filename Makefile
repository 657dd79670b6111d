# etcdplay's make targets. `make test` and `make check` are what CI runs.

GO       ?= go
VERSION  ?= 0.1.0
FUZZTIME ?= 10s
CACHE    := $(CURDIR)/.cache
ETCDS    := $(CACHE)/etcd
LAB      := $(CACHE)/lab
LAB_ETCD  ?= 3.6
LAB_HOSTS ?= 4
# What of the suite of connections lab-test runs; ETCDPLAY_LAB_MATRIX=all widens
# both it and the other tests on the lab, which then take half an hour.
LAB_SSH   := $(if $(filter all,$(ETCDPLAY_LAB_MATRIX)),^TestLab,^TestLab(UnitCut)?$$/^(core_native|ops_openssh)?$$)
export CGO_ENABLED ?= 0

GOFILES  := $(shell git ls-files '*.go' 2>/dev/null)
LDFLAGS  := -s -w -X main.version=$(VERSION)

.PHONY: build test demo check fuzz bench vuln etcds lab lab-down lab-test bench-lab clean

build: ## the program, bin/etcdplay
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/etcdplay ./cmd/etcdplay

demo: build ## replace a failed member of a genuine cluster, on this machine
	bin/etcdplay demo

# ETCDPLAY_MATRIX=all runs the scripts of cmd/etcdplay/testdata/matrix with every
# release, plain and secured, in both layouts, instead of with a few of them.
test: build etcds ## everything, against genuine etcd of every supported version
	ETCDPLAY_ETCDS=$(ETCDS) $(GO) test -timeout 40m -parallel 3 -skip '^TestLab' ./...

lab-test: etcds $(LAB)/rootfs/.complete ## real hosts: containers with systemd, sshd and networks of their own; needs root
	ETCDPLAY_ETCDS=$(ETCDS) ETCDPLAY_LAB=$(LAB) $(GO) test -count=1 -timeout 30m -parallel 3 -run '^TestLab' -v ./cmd/etcdplay
	$(GO) test -c -o $(LAB)/ssh.test ./engine/conn/ssh
	@set -e; trap '$(CURDIR)/testdata/lab/lab.sh down $(LAB)/conn' EXIT; \
	testdata/lab/lab.sh up $(LAB)/conn $(LAB)/rootfs $(ETCDS)/$(LAB_ETCD) 1; \
	cd engine/conn/ssh && ETCDPLAY_LAB_CONN=$(LAB)/conn $(CURDIR)/testdata/lab/lab.sh exec $(LAB)/conn $(LAB)/ssh.test -test.run '$(LAB_SSH)'

lab: build etcds $(LAB)/rootfs/.complete ## boot a lab of LAB_HOSTS hosts with etcd LAB_ETCD to try things in
	@test ! -e $(LAB)/up || { echo "it is up already; make lab-down ends it"; exit 1; }
	testdata/lab/lab.sh up $(LAB)/up $(LAB)/rootfs $(ETCDS)/$(LAB_ETCD) $(LAB_HOSTS)
	testdata/lab/lab.sh cluster $(LAB)/up 3
	@testdata/lab/lab.sh help $(LAB)/up

lab-down: ## end the lab of make lab
	testdata/lab/lab.sh down $(LAB)/up

$(LAB)/rootfs/.complete: testdata/lab/rootfs.sh testdata/lab/etcd-member.service testdata/lab/etcd-wrapper
	testdata/lab/rootfs.sh $(LAB)/rootfs

check: etcds ## format, vet, staticcheck, the race detector, fuzzing for a moment
	@out=$$($(GO) tool gofumpt -l $(GOFILES)); test -z "$$out" || { echo "gofumpt would change:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags faultinject ./...
	$(GO) tool staticcheck ./...
	$(GO) test -tags faultinject -run Killed ./engine
	CGO_ENABLED=1 ETCDPLAY_ETCDS=$(ETCDS) $(GO) test -race -short -timeout 20m ./engine/... ./hcl/... ./tasks/...
	$(MAKE) fuzz

fuzz: ## every fuzz target for FUZZTIME
	@set -e; for dir in $$(git grep -l --untracked '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$dir/*_test.go); do \
			echo "$$dir $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./$$dir; \
		done; \
	done

bench: build ## Go benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-lab: build etcds $(LAB)/rootfs/.complete ## beside bash, Ansible and bare Go on real hosts: writes docs/benchmarks.md; needs root
	testdata/lab/bench/rootfs.sh $(LAB)/rootfs $(LAB)/python
	$(GO) build -trimpath -o bin/bench-bare ./testdata/lab/bench/bare
	$(GO) build -trimpath -o bin/bench-lab ./testdata/lab/bench
	bin/bench-lab -rootfs $(LAB)/python:$(LAB)/rootfs -etcd $(ETCDS)/$(LAB_ETCD)

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
	@test ! -e $(LAB)/up || testdata/lab/lab.sh down $(LAB)/up
	rm -rf bin $(CACHE)
