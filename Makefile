.PHONY: help run install test test-postgres test-plain race flaky check lint generate examples release-schema verify bench faults fuzz vulnerabilities

help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Start the server.
	go run .

install: ## Install the program as gatehouse into the bin directory of Go.
	go install .

test: ## Run the tests.
	go test ./...

test-postgres: ## Run the tests; PostgreSQL (GATEHOUSE_TEST_DATABASE_URL, or a temporary cluster) must be available.
	GATEHOUSE_TEST_REQUIRE=postgres go test ./...

test-plain: ## Run the stories on the plain database engine: database/sql, one transaction per unit.
	GATEHOUSE_TEST_ENGINE=plain go test ./stories -count=1

flaky: ## Run every test RUNS=20 times in random order, half of them under load; writes docs/flaky.md in at most 3 hours.
	bash stories/flaky.sh

faults: ## Break the program and what it depends on, at length (docs/reliability.md): about a quarter of an hour.
	GATEHOUSE_FAULTS=long go test ./faults -count=1 -timeout 90m -v

race: ## Run the tests with the race detector, except those that drive a built program: a quarter of an hour.
	CGO_ENABLED=1 go test -race -timeout 30m $$(go list ./... | grep -v -e '/stories$$' -e '/bench$$' -e '/races$$')

lint: ## Run vet and golangci-lint.
	go vet ./...
	golangci-lint run ./...

generate: ## Write everything that is generated: GraphQL code and reference pages.
	go generate ./...
	go run . docs

examples: ## Write the answers of examples/operations anew, and the pages that show them.
	go test ./stories -run TestExamples -update
	go run . docs

release-schema: ## Make the schema as it is the one that clients may rely on.
	go run . docs --release-schema

verify: generate ## Fail if something generated was not committed.
	git diff --exit-code

check: ## Do all that the continuous integration does.
	bash .ci/run

bench: ## Measure the built program and write docs/performance.md: make bench ARGS="-only R1,W1".
	go run ./bench -page docs/performance.md -results bench/results $(ARGS)

fuzz: ## Run every fuzz target for a minute; FUZZTIME=10s for another time, FUZZ=Name for those with the name.
	bash races/fuzz.sh

vulnerabilities: ## Ask the Go vulnerability database what is known of the modules (needs the network; SECURITY.md).
	go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...
