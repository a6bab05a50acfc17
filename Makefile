# One entry point for people; .ci/run is the same for machines. All it needs is Go.
SEEDS ?= 2000
START ?= 1
TIME  ?= 30s

.PHONY: help check test race sim campaign exhaust timing fuzz e2e demo bench cover gen ci

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' Makefile

check: ## formatting, vet, lint
	test -z "$$(git ls-files '*.go' | xargs gofmt -l | tee /dev/stderr)" && go vet ./... && go tool staticcheck ./...

test: ## all tests, with the counts of vectors and the reasons of skips
	go run ./test/report

race: ## the race detector, on what has goroutines
	go run ./test/report -race -short ./internal/... ./p2p/... ./bitcoin/chain/... ./cmd/...

sim: ## simulated federations: make sim SEEDS=100000 START=1
	go test ./sim -run '^TestSeeds$$' -seeds=$(SEEDS) -start=$(START) -count=1 -timeout=0 -v

campaign: ## the same over a group without security, four times as fast: make campaign SEEDS=100000
	go test -tags exponents ./sim -run '^TestSeeds$$' -seeds=$(SEEDS) -start=$(START) -count=1 -timeout=0 -v

exhaust: ## the cryptography over a group of 13 elements: every share, nonce and lie
	go vet -tags toygroup ./crypto/... && go test -tags toygroup ./crypto/...

timing: ## whether multiplications by secrets take a time that depends on them; wants an idle machine
	go test ./crypto/internal/secp -run TestTiming -timing=100000 -timeout=0 -v

fuzz: ## every fuzz target for TIME
	.ci/fuzz $(TIME)

e2e: ## five processes and a btcd, three times
	go test ./test/e2e -count=3 -v

demo: ## the main job in one process
	go run ./cmd/node demo

bench: ## benchmarks of the cryptography and the machines
	go test -run='^$$' -bench=. -benchmem ./crypto/... ./protocols/...

cover: ## coverage of the core, by function
	go test -coverprofile=coverage.out ./protocols/... ./federation/... ./policy/... ./bitcoin ./crypto/... && go tool cover -func=coverage.out

gen: ## generated code of the API
	go generate ./internal/api

ci: ## what must hold before a change is merged
	.ci/run
