.PHONY: help run test check faults lint generate verify

help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Start the server.
	go run .

test: ## Run the tests.
	go test ./...

faults: ## Break the program and what it depends on, at length (docs/reliability.md): about half an hour.
	GATEHOUSE_FAULTS=long go test ./faults -count=1 -timeout 90m -v

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
