#!/usr/bin/env bash
# Runs every fuzz target of the module one after another, FUZZTIME each, and ends with a failure if one found something.
# What is found stays in testdata/fuzz beside the parser: commit it with the mend, and every test run repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./...); do
  grep -lq '^func Fuzz' "$package"/*_test.go 2>/dev/null || continue
  for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    [[ "$target" == *"${FUZZ:-}"* ]] || continue
    printf '== %s %s\n' "${package#"$PWD"/}" "$target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-60s}" "$package" || status=1
  done
done
exit "$status"
