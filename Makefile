.PHONY: help run test check lint generate verify bench fuzz

help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Start the server.
	go run .

test: ## Run the tests.
	go test ./...

lint: ## Run vet and golangci-lint.
	go vet ./...
	golangci-lint run ./...

generate: ## Write everything that is generated: GraphQL code and reference pages.
	go generate ./...
	go run . docs

verify: generate ## Fail if something generated was not committed.
	git diff --exit-code

check: ## Do all that the continuous integration does.
	bash .ci/run

bench: ## Measure the built program and write docs/performance.md: make bench ARGS="-only R1,W1".
	go run ./bench -page docs/performance.md -results bench/results $(ARGS)

fuzz: ## Run every fuzz target for a minute; FUZZTIME=10s for another time, FUZZ=Name for those with the name.
	bash races/fuzz.sh
