# Forebay. `make help` lists the targets.

export CGO_ENABLED := 0
# Only what "make build" makes uses the profile of "make pgo": with it every package
# is compiled once more.
export GOFLAGS := -pgo=off $(GOFLAGS)
GO      ?= go
MODULES := proxy dataplaneapi api-spec
SEEDS   ?= 200
FUZZ    ?= 20s
SOAK    ?= 10m
VERSION := $(shell cat proxy/internal/version/VERSION 2>/dev/null)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## both programs, static, in bin/
	$(GO) build -trimpath -pgo=auto -o bin/forebay ./proxy/cmd/forebay
	$(GO) build -trimpath -o bin/dataplaneapi ./dataplaneapi/cmd/dataplaneapi

.PHONY: run
run: build ## a demonstration on this machine: both programs, and what to try
	scripts/run.sh

.PHONY: deps
deps: ## install what the tests drive (HAProxy, wrk, curl …) from the distribution
	scripts/deps.sh

.PHONY: lint
lint: ## gofmt, vet, staticcheck, and whether features can be removed
	@fmt=$$(gofmt -l $(MODULES)); if [ -n "$$fmt" ]; then echo "not gofmt'd:"; echo "$$fmt"; exit 1; fi
	@set -e; for m in $(MODULES); do echo "vet and staticcheck $$m"; (cd $$m && $(GO) vet ./... ); (cd proxy && $(GO) tool staticcheck ../$$m/...); done
	scripts/removable

.PHONY: check
check: lint ## for every day: lint, the tests beside the code without the race detector, a short simulation
	@set -e; for m in $(MODULES); do (cd $$m && $(GO) test -timeout 10m $$($(GO) list ./... | grep -v /e2e)); done
	@$(MAKE) --no-print-directory sim SEEDS=20

.PHONY: test
test: deps build unit e2e sim ## everything that must pass

.PHONY: unit
unit: ## the tests beside the code, with the race detector
	@set -e; for m in $(MODULES); do (cd $$m && CGO_ENABLED=1 $(GO) test -race -timeout 15m ./... ); done

.PHONY: e2e
e2e: build ## the built programs, driven by real clients
	cd proxy && FOREBAY_E2E=1 $(GO) test -count=1 -timeout 20m ./e2e/...

.PHONY: soak
soak: build ## events through every protocol for SOAK, with HAProxy beside: none may be 20 ms late
	cd proxy && FOREBAY_E2E=1 FOREBAY_SOAK=$(SOAK) $(GO) test -count=1 -v -timeout 24h ./e2e/ -run 'TestSoak$$'

.PHONY: sim
sim: ## the whole proxy on a simulated network and clock, SEEDS runs
	cd proxy && $(GO) test -count=1 -timeout 15m ./internal/testing/sim -run TestSeeds -sim.seeds=$(SEEDS)

.PHONY: fuzz-smoke
fuzz-smoke: ## every parser of outside bytes, FUZZ each
	scripts/fuzz.sh $(FUZZ)

.PHONY: bench
bench: build ## beside HAProxy, in one run: BENCH='-only keepalive,tcp -rounds 10', '-table' for scripts/README.md
	scripts/bench.sh $(BENCH)

.PHONY: pgo
pgo: ## measure what the proxy does in the benchmark's scenes, for the compiler (proxy/cmd/forebay/default.pgo)
	scripts/pgo.sh

.PHONY: mutants
mutants: ## would the tests notice? small changes one at a time, for a person to run (an hour)
	$(GO) run ./proxy/cmd/forebay-mutants $(MUTANTS)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin scratch
