# make help lists the targets.
#
# Lanes. Each is a target, and make test runs several at a time (tools/lanes): most of them wait for processes, launchers and limits.
# What shows races runs under the race detector: the packages without MPI (race), and with MPI the binding, the link, the suite of
# behaviours in two ways and the jobs that lose ranks. The others run without it, and all of them with it in make nightly. What no race is looked for
# in (unraced) is not built with it: tests that read files and run the command, and models that one goroutine explores. Tests that take
# too much time or memory there have names that begin with TestLarge or contain GiB; they skip themselves under -race with the reason.
# Those that need gigabytes run in a lane (large) beside which no other one runs. The order of a package's tests is another one each time,
# and printed when one fails. TIMEOUT is a limit against hanging for a package; TESTS_LIMIT=10m sets that of a single wait.

GO       ?= go
SHELL    := /bin/sh
LARGE    ?= ^TestLarge|GiB
TIMEOUT  ?= 70m
FUZZ     ?= ./internal/pkl5 ./internal/registry ./internal/remote ./internal/link ./internal/link/proc ./internal/link/mpilink ./internal/dispatch
FUZZTIME ?= 3
JOBS     ?= 3

# What is checked without cgo, with the tag mpi as well; linux/amd64 is compiled with cgo as well (go list -export; the tests link the programs).
PLATFORMS ?= linux/amd64 linux/386 linux/arm linux/arm64 freebsd/amd64 windows/amd64 darwin/arm64
NARROW    ?= ./internal/pkl5 ./internal/registry ./internal/dispatch ./internal/link/...

# The loop of a contributor: what needs no programs to be built. The longest package begins first.
SHORT    ?= ./tests/behaviour ./internal/... ./asyncresult ./comm ./futures ./pool ./spmd ./threadpool ./mpicomm ./cmd/... ./tests/arch

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT         := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

.DEFAULT_GOAL := help
.PHONY: help test short nightly ci deps check narrow unraced ledgers kills large fuzz race mpi-openmpi link-mpi-openmpi mpi-mpich mpi-anywhere cluster cluster-openmpi cluster-mpich matrix matrix-short \
	race-mpi-openmpi race-mpi-mpich lint bench bench-mpi pictures clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile | awk -F': ' '{ printf "make %-18s%s\n", $$1, $$2 }'

# The longest lanes begin first. The race lane is named last, for its lines close the output; it is the longest, and begins before all others.
LANES := mpi-openmpi link-mpi-openmpi cluster-openmpi unraced cluster-mpich mpi-mpich mpi-anywhere narrow check
RUN_LANES = GO='$(GO)' MAKE='$(MAKE)' $(GO) run ./tools/lanes -jobs $(JOBS) -alone large,fuzz

test: ## run every test, in lanes; installs nothing, but in a container and with CI=true
	@GO='$(GO)' tools/need-go
	@if tools/may-install; then $(MAKE) --no-print-directory deps; fi
	@$(RUN_LANES) large $(LANES) race

short: ## run the tests of a contributor's loop, the packages and the behaviours, without the race detector, MPI and programs
	@GO='$(GO)' tools/need-go
	$(GO) test -short -timeout $(TIMEOUT) $(SHORT)

nightly: ## run everything under the race detector, each fuzz test for a minute, and the repeated runs
	@GO='$(GO)' tools/need-go
	@$(MAKE) --no-print-directory deps
	@FUZZTIME=60 RACE_LEAVES= $(RUN_LANES) large fuzz race-mpi-openmpi race-mpi-mpich $(LANES) ledgers kills matrix-short race

ci: ## what .ci/run does, that is, install, then run what make test does, the fuzz tests for some seconds and the repeated runs
	@GO='$(GO)' tools/need-go
	@$(MAKE) --no-print-directory deps
	@$(RUN_LANES) large fuzz $(LANES) ledgers matrix-short race

deps: ## install what the tests need and is missing, of a C compiler, Open MPI, MPICH and Slurm
	@GO='$(GO)' tools/need-go
	@GO='$(GO)' tools/need-cc
	@tools/need-mpi
	@tools/need-slurm

# A lane begins with this: where it cannot run it says so, and is left out.
CAN = GO='$(GO)' tools/can $@; case $$? in 0) ;; 1) exit 0 ;; *) exit 1 ;; esac
# The suite of behaviours makes so many instances of generic code that it takes half of the time to compile without inlining and debugging information.
# testkit.SuiteFlags has the same flags for the tests that compile it.
SUITE = -gcflags='-l -dwarf=false' ./tests/behaviour
GOTEST = GO='$(GO)' $(GO) run ./tools/gotest -vet=off -shuffle=on -timeout $(TIMEOUT)

check: ## check the format, vet, and check the code and the tests for every platform
	@echo '== gofmt'
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l $(wildcard */)) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	@echo '== go vet'
	$(GO) vet ./...
	$(GO) list -export ./... >/dev/null
	@echo '== every platform'
	GO='$(GO)' $(GO) run ./tools/platforms -link ./examples/hello -vet darwin/arm64,windows/amd64 $(PLATFORMS)

# What one goroutine explores: once is enough, without the race detector (unraced).
MODELS := ^TestInEveryOrderOfSteps|^TestTheModelFinds

# A program of 32 bits runs here where the machine is an amd64 with Linux.
narrow: ## run the tests of the codec, the scheduler and the links as programs of 32 bits, where the machine can
	@echo '== tests with 32 bits'
	@$(CAN); set -x; CGO_ENABLED=0 GOARCH=386 $(GOTEST) -skip '$(MODELS)' $(NARROW)

fuzz: ## run each fuzz test for FUZZTIME seconds, of the codec, fingerprints, errors, the journal, the local wire and the scheduler
	@echo '== fuzz'
	@GO='$(GO)' tools/fuzz $(FUZZTIME) $(FUZZ)

# The suite of behaviours is compiled as tests/modes compiles it for ranks without the race detector, so that it is compiled once.
large: ## run the tests that need the absence of the race detector and much memory
	@echo '== tests without the race detector'
	CGO_ENABLED=0 $(GOTEST) -tags mpi -run '$(LARGE)' $(SUITE)
	$(GOTEST) -p 1 -run '$(LARGE)' -skip Ledger $$(tools/packages-of '$(LARGE)' | grep -vxF ./tests/behaviour)
	@for mpi in openmpi mpich; do GO='$(GO)' tools/can mpi-$$mpi >/dev/null || continue; (set -x; \
	MPITEST_LAUNCHER=$$mpi $(GOTEST) -tags mpi -run GiB ./tests/modes) || exit 1; done

# The same ledger with fewer tasks is in the lanes of MPI and in the race lane.
ledgers: ## run the long ledger of tasks whose workers are killed hundreds of times
	@echo '== ledgers'
	$(GOTEST) -run LedgerBalancesWhileWorkers ./tests/modes
	@for mpi in openmpi mpich; do GO='$(GO)' tools/can mpi-$$mpi >/dev/null || continue; (set -x; \
	MPITEST_LAUNCHER=$$mpi $(GOTEST) -tags mpi -run LedgerBalancesWhileRanks ./tests/modes) || exit 1; done

# The same tests with a few kills are in the race lane.
kills: ## kill masters that have a journal at 200 instants each, and look at what runs again
	@echo '== kills'
	RANKPOOL_KILLS=200 $(GOTEST) -run 'IsKilledAt(Any|Random)Instant' ./internal/resultlog ./tests/faults

# These read files, and build and run programs without the detector. What the detector does not run of the library, the suite of behaviours runs here.
UNRACED := ./tests/arch ./tests/command ./tests/docs ./tests/porting ./tests/report ./tools/...

unraced: ## run the tests in which no race is looked for
	@echo '== tests in which no race is looked for'
	$(GOTEST) $(UNRACED)
	$(GOTEST) -run '$(MODELS)' ./internal/dispatch
	CGO_ENABLED=0 $(GOTEST) -tags mpi -short $(SUITE)

# The suite of behaviours comes first, compiled as tests/modes compiles it for ranks under the detector, so that it is compiled once.
RACE_LEAVES   ?= $(UNRACED)
RACE_PACKAGES = $$($(GO) list ./... | grep -vxF "$$($(GO) list $(RACE_LEAVES) ./tests/behaviour)")

# Without a C compiler they run without it. The detector has every process idle for a second at its exit unless told otherwise.
race: ## run the tests under the race detector, but those of unraced
	@echo '== tests under the race detector'
	@GO='$(GO)' tools/can $@; case $$? in 0) set -x; export GORACE=atexit_sleep_ms=20 CGO_ENABLED=1; $(GOTEST) -race -tags mpi $(SUITE); s=$$?; $(GOTEST) -race $(RACE_PACKAGES) && exit $$s ;; \
	1) set -x; $(GOTEST) $(SUITE); s=$$?; $(GOTEST) $(RACE_PACKAGES) && exit $$s ;; *) exit 1 ;; esac

# What MPI adds. MPITEST_LAUNCHER is whose mpiexec starts the ranks, and so whose library they load; build/mpi-env is for what imports
# mpicomm, and is linked with it. The packages come one at a time: each starts several processes that compute. Goroutines and local
# processes are the same beside either library: MODES=ranks leaves them out, for the race lane has them. The suite of behaviours runs in
# every kind of world without the detector, and with it in one world with slots, which share the most memory, and on spawned ranks.
# go vet looks at the other packages in mpi-anywhere.
MPI_PACKAGES := ./internal/mpi/... ./internal/link/mpilink ./mpicomm ./tests/pool
ELSEWHERE := GiB|LargeLedger|WhileWorkersAre
RACED := TheBehaviourSuite/^(spawned|world of two × 2 slots)|EveryTaskIsToldOnce|ALoss|ARankKilled|ThreadLevel
MPI = $(CAN); eval "$$(build/mpi-env $*)" && export MPITEST_LAUNCHER=$* TESTS_WHOLE=1

mpi-openmpi: mpi-%: ## run the jobs of MPI under Open MPI, without the race detector
	@echo '== jobs under $*'
	@$(MPI) && set -x && MODES=ranks $(GOTEST) -parallel 4 -tags mpi -skip '$(ELSEWHERE)|TheBehaviourSuite/^spawned' ./tests/modes

link-mpi-openmpi: link-mpi-%: ## run the tests of the binding and the link under Open MPI, and under the race detector the jobs that may show races
	@echo '== tests under $*'
	@$(MPI) && set -x && $(GO) vet -tags mpi $(MPI_PACKAGES) && $(GOTEST) -p 1 -race -tags mpi $(MPI_PACKAGES) && \
	MODES=ranks $(GOTEST) -parallel 4 -race -tags mpi -run '$(RACED)' -skip WhileWorkersAre ./tests/modes

mpi-mpich: mpi-%: ## run the tests of MPI under MPICH
	@echo '== tests under $*'
	@$(MPI) && set -x && $(GO) vet -tags mpi $(MPI_PACKAGES) && $(GOTEST) -p 1 -race -tags mpi $(MPI_PACKAGES) && \
	MODES=ranks $(GOTEST) -parallel 4 -tags mpi -skip '$(ELSEWHERE)' ./tests/modes

race-mpi-openmpi race-mpi-mpich: race-mpi-%:
	@echo '== jobs of $* under the race detector'
	@$(MPI) && set -x && $(GOTEST) -p 1 -race -tags mpi ./tests/modes ./tests/cluster

mpi-anywhere: ## build the tests of MPI once, without cgo, and run the same files under every MPI library that is installed
	@echo '== tests of one file under every MPI'
	@$(CAN); set -x; CGO_ENABLED=0 $(GO) vet -tags mpi ./... && GO='$(GO)' TIMEOUT=$(TIMEOUT) tools/anywhere

cluster: cluster-openmpi cluster-mpich ## run the examples on three hosts and under Slurm; needs root

cluster-openmpi cluster-mpich: cluster-%:
	@echo '== jobs of $* on a cluster'
	@$(MPI) && tools/need-slurm look && set -x && $(GOTEST) -tags mpi ./tests/cluster

matrix: ## run the tests of MPI under the libraries of several Debians, in trees made by debootstrap; needs root
	@GO='$(GO)' tools/matrix

matrix-short: ## run hello, julia, a lost rank and a drain 20 times each under Debian 13's libraries; needs root
	@GO='$(GO)' tools/matrix short

lint: $(GOLANGCI_LINT) ## run the linters
	$(GOLANGCI_LINT) run ./...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...

$(GOLANGCI_LINT):
	@echo 'installing golangci-lint $(GOLANGCI_LINT_VERSION) into bin (takes a minute or two)'
	@GOBIN='$(CURDIR)/bin' $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	@mv bin/golangci-lint $@

bench: ## measure rankpool beside its peers on every backend that is here, then run the benchmarks of the packages
	$(GO) run ./cmd/rankpool bench $(BENCH)
	$(GO) test -run '^$$' -bench . -benchmem ./...

pictures: ## make the pictures of docs/observing.md anew, with Chromium
	$(GO) test -count=1 -timeout $(TIMEOUT) -run ThePicturesOfTheDocumentation ./tests/report -pictures '$(CURDIR)/docs'

bench-mpi: ## compare with plain MPI, in C, under Open MPI
	@MPITEST_LAUNCHER=openmpi $(GO) test -tags mpi -run '^$$' -bench PlainMPI -benchtime 1x ./tests/modes

clean: ## remove what make and the examples have written
	rm -rf bin julia.pgm julia.png thumbs
