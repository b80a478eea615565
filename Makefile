# MINOOTS: `make` lists the targets. Each works on a fresh machine that has Go.

.DEFAULT_GOAL := help
SHELL := /bin/bash
GO    ?= go
LINT  := $(GO) tool -modfile=tools/go.mod golangci-lint
BUF   := $(GO) tool -modfile=../tools/go.mod buf
PG    := $(GO) run ./internal/devpg/run --

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/minoots, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/minoots ./cmd/minoots

.PHONY: dev
dev: build ## Run everything here: Postgres, migrations, a tenant, a key, all roles
	@bin/minoots dev

.PHONY: demo
demo: build ## Schedule the timers of examples/, receive their webhooks, print how late each was
	@bin/minoots demo

.PHONY: test
test: ## All tests with the race detector, on a Postgres that it starts itself
	$(PG) $(GO) test -race -timeout 10m ./...

.PHONY: bench
bench: build ## Throughput and lateness beside the limits of this machine; about 10 minutes (BENCH="--short" for two)
	bin/minoots bench --json bench.json $(BENCH)

.PHONY: chaos
chaos: build ## Break replicas, Postgres, network and clocks under load, and judge what holds; about 10 minutes (CHAOS="--only kill" for one)
	CGO_ENABLED=0 $(GO) build -trimpath -tags faults -o bin/minoots-faults ./cmd/minoots
	$(GO) run ./internal/fault/skew bin/skew
	CGO_ENABLED=0 $(GO) build -trimpath -overlay bin/skew/overlay.json -o bin/minoots-skewed ./cmd/minoots
	./.ci/old bin/minoots-old
	bin/minoots chaos --json chaos.json $(CHAOS)

.PHONY: chaos-short
chaos-short: build ## The part of chaos that fits into CI: under a minute
	bin/minoots chaos --short

.PHONY: soak
soak: build ## An hour of mixed load with faults, then an audit: nothing lost, nothing grown (SOAK="--for 10m", SOAK=--short for half a minute)
	bin/minoots soak --json soak.json $(SOAK)

.PHONY: lint
lint: ## gofmt, go vet, golangci-lint
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(LINT) run ./...

.PHONY: generate
generate: build ## Write the generated files: openapi.yaml, the schema of events, and the Go of proto/
	bin/minoots openapi --output openapi.yaml
	bin/minoots events schema --output docs/event.schema.json
	cd proto && $(BUF) lint && $(BUF) generate

.PHONY: verify
verify: generate ## Fail if generated files or go.mod are not up to date, or a generated client does not compile
	$(GO) mod tidy -diff
	git diff --exit-code -- openapi.yaml docs/event.schema.json proto
	@test -z "$$(git status --porcelain -- proto)" || { git status --short -- proto; exit 1; }
	./.ci/clients

.PHONY: ci
ci: lint verify test demo chaos-short ## What CI runs
	@echo "ci: all green"
