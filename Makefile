# make help lists the targets.
#
# Lanes. Every test runs under the race detector, but for those that would take too much time or memory there: their
# names begin with TestLarge or contain GiB, they skip themselves under -race with the reason, and run in a lane of
# their own, one package at a time. The order of a package's tests is another one each time, and printed. TIMEOUT is a limit
# against hanging for a package; TESTS_LIMIT=10m sets that of a single wait.

GO       ?= go
SHELL    := /bin/sh
LARGE    ?= ^TestLarge|GiB
TIMEOUT  ?= 40m
FUZZ     ?= ./internal/pkl5 ./internal/registry ./internal/remote ./internal/link ./internal/link/proc ./internal/link/mpilink ./internal/dispatch
FUZZTIME ?= 3

# What is built without cgo, with the tag mpi as well; linux/amd64 is built with cgo as well.
PLATFORMS ?= linux/amd64 linux/386 linux/arm linux/arm64 freebsd/amd64 windows/amd64 darwin/arm64
NARROW    ?= ./internal/pkl5 ./internal/registry ./internal/dispatch ./internal/link/...

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT         := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

.DEFAULT_GOAL := help
.PHONY: help test check tools narrow large fuzz race mpi-openmpi mpi-mpich mpi-anywhere cluster matrix lint bench bench-mpi clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile | awk -F': ' '{ printf "make %-14s%s\n", $$1, $$2 }'

# The lanes run one after the other under any -j, and the race lane is last: its lines close the output.
test: ## run everything, as the continuous integration does; installs a C compiler, MPI and Slurm where there is none
	@$(MAKE) --no-print-directory tools
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory narrow
	@$(MAKE) --no-print-directory fuzz
	@$(MAKE) --no-print-directory large
	@$(MAKE) --no-print-directory mpi-openmpi
	@$(MAKE) --no-print-directory mpi-mpich
	@NEED='openmpi mpich' $(MAKE) --no-print-directory mpi-anywhere
	@$(MAKE) --no-print-directory cluster
	@GO='$(GO)' tools/matrix short
	@$(MAKE) --no-print-directory race
	@tools/need-slurm look

tools: ## install what the tests need, if it is missing
	@GO='$(GO)' tools/need-go
	@GO='$(GO)' tools/need-cc
	@tools/need-mpi
	@tools/need-slurm

check: ## check the format, vet, and build for every platform
	@echo '== gofmt'
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l $(wildcard */)) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	@echo '== go vet'
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	CGO_ENABLED=0 GOARCH=386 $(GO) vet ./...
	@echo '== every platform'
	@for p in $(PLATFORMS); do set -- $$(echo $$p | tr / ' '); \
	(set -x; CGO_ENABLED=0 GOOS=$$1 GOARCH=$$2 $(GO) build ./... && CGO_ENABLED=0 GOOS=$$1 GOARCH=$$2 $(GO) build -tags mpi ./...) || exit 1; done
	CGO_ENABLED=1 $(GO) build ./...

# A program of 32 bits runs here where the machine is an amd64 with Linux.
narrow: ## run the tests of the codec, the scheduler and the links as programs of 32 bits, where the machine can
	@echo '== tests with 32 bits'
	@if [ "$$($(GO) env GOHOSTOS)/$$($(GO) env GOHOSTARCH)" = linux/amd64 ]; then set -x; CGO_ENABLED=0 GOARCH=386 $(GO) test -shuffle=on -timeout $(TIMEOUT) $(NARROW); \
	else echo 'left out: this needs an amd64 with Linux'; fi

fuzz: ## run each fuzz test for a few seconds: of the codec, fingerprints, errors, the journal, the local wire and the scheduler
	@echo '== fuzz'
	@GO='$(GO)' tools/fuzz $(FUZZTIME) $(FUZZ)

large: ## run the tests that need the absence of the race detector
	@echo '== tests without the race detector'
	$(GO) test -p 1 -shuffle=on -timeout $(TIMEOUT) -run '$(LARGE)' ./...

race: ## run the tests under the race detector
	@echo '== tests under the race detector'
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout $(TIMEOUT) ./...

# What MPI adds. The packages come one at a time: each starts several processes that compute. MPITEST_LAUNCHER is whose mpiexec starts
# them, and so whose library they load; build/mpi-env is for what imports mpicomm, and is linked with it.
MPI_PACKAGES := ./internal/mpi/... ./internal/link/mpilink ./mpicomm ./tests/modes ./tests/pool

mpi-openmpi mpi-mpich: mpi-%:
	@echo '== tests under $*'
	@eval "$$(build/mpi-env $*)" && export MPITEST_LAUNCHER=$* && set -x && $(GO) vet -tags mpi ./... && \
	$(GO) test -p 1 -shuffle=on -tags mpi -timeout $(TIMEOUT) -run '$(LARGE)' ./tests/modes && \
	$(GO) test -p 1 -race -shuffle=on -tags mpi -timeout $(TIMEOUT) $(MPI_PACKAGES)

mpi-anywhere: ## build the tests of MPI once, without cgo, and run the same files under every MPI library that is installed
	@echo '== tests of one file under every MPI'
	CGO_ENABLED=0 $(GO) vet -tags mpi ./...
	GO='$(GO)' TIMEOUT=$(TIMEOUT) tools/anywhere

cluster: ## run the examples on three hosts and under Slurm; needs root
	@for mpi in openmpi mpich; do echo "== jobs of $$mpi on a cluster"; (eval "$$(build/mpi-env $$mpi)" && export MPITEST_LAUNCHER=$$mpi && set -x && \
	$(GO) test -v -race -shuffle=on -tags mpi -timeout $(TIMEOUT) ./tests/cluster) || exit 1; done
	@tools/need-slurm look

matrix: ## run the tests of MPI under the libraries of several Debians, in trees made by debootstrap; needs root
	@GO='$(GO)' tools/matrix

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

bench-mpi: ## compare with plain MPI, in C, under Open MPI
	@MPITEST_LAUNCHER=openmpi $(GO) test -tags mpi -run '^$$' -bench PlainMPI -benchtime 1x ./tests/modes

clean: ## remove what make and the examples have written
	rm -rf bin julia.pgm julia.png thumbs
