#!/usr/bin/env bash
# Runs all tests RUNS times in random order (the seed is the number of the run), as the test command of the README does:
# every second run beside four busy processes, and one more with the clock of the tests and of the program a year ahead.
# Tests in a browser, with packages of vendors and on the other engines of the database run in five of the runs. The
# result goes to docs/flaky.md. It starts no further run after LIMIT seconds.
#
# PACKAGES limits it to some packages, for example PACKAGES=./stories; the page is then left as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${RUNS:-20}
limit=${LIMIT:-10000}
page=docs/flaky.md
rarely='^(TestConsoleOfTheProgram|TestGraphiQLOfTheProgram|TestGraphQLOverHTTPAudits|TestVendor.*|Test.*InABrowser|TestPagesForEverybody|TestPlainEngine|TestInlineValues)$'
work=$(mktemp -d)
busy=()

calm() {
  [ "${#busy[@]}" -eq 0 ] || kill "${busy[@]}" 2>/dev/null || true
  busy=()
}
trap 'calm; rm -rf "$work"' EXIT

load() {
  for _ in 1 2 3 4; do
    while :; do :; done &
    busy+=($!)
  done
}

# attempt RUN KIND [FLAGS]: one run, and a line of the table for each package: package, kind, seed, seconds, result.
attempt() {
  local run=$1 kind=$2
  shift 2
  go test -count=1 -timeout 60m -shuffle="$run" "$@" "${packages[@]}" >"$work/out" 2>&1 || true
  awk -F '\t' -v kind="$kind" -v run="$run" -v OFS='\t' '
    $1 == "ok  " { print $2, kind, run, $3 + 0, "ok" }
    $1 == "FAIL" && NF > 1 { print $2, kind, run, $3 + 0, "failed" }
  ' "$work/out" | tee -a "$work/results"
  ! grep -q '^FAIL' "$work/out" || { echo "== run $run ($kind)"; cat "$work/out"; } | tee -a "$work/failures"
}

# shellcheck disable=SC2206
packages=(${PACKAGES:-$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...)})
go build ./...
go vet ./... # compiles the tests, so that no run pays for it
: >"$work/results"

GATEHOUSE_TEST_CLOCK=+8760h attempt 1 "year ahead"
completed=0
for run in $(seq "$runs"); do
  [ "$SECONDS" -lt "$limit" ] || break
  kind=idle
  if [ $((run % 2)) -eq 0 ]; then
    kind=load
    load
  fi
  flags=(-skip "$rarely")
  [ "$run" -gt 5 ] || flags=()
  attempt "$run" "$kind" "${flags[@]}"
  calm
  completed=$run
done

failed=$(grep -c failed "$work/results" || true)
if [ -z "${PACKAGES:-}" ]; then
  {
    echo '<!-- Written by `make flaky`; do not edit. -->'
    echo
    echo '# Repeated runs of the tests'
    echo
    echo "Commit \`$(git rev-parse --short=12 HEAD)\`, $(date -u +%F), $(nproc) processors: $completed of $runs rounds in $((SECONDS / 60)) minutes,"
    echo "$failed failures of a package. Round N ran \`go test -shuffle=N ./...\`; even rounds ran beside four busy processes. Rounds 1 to"
    echo '5 include the tests in a browser, with packages of vendors and on the other engines of the database. One more round had'
    echo '`GATEHOUSE_TEST_CLOCK=+8760h`.'
    echo
    echo '| package | runs | failures | failed seeds | seconds idle | seconds beside load | a year ahead |'
    echo '|---|---|---|---|---|---|---|'
    awk -F '\t' '
      !($1 in seen) { seen[$1] = 1; order[++n] = $1 }
      $2 == "year ahead" { ahead[$1] = $5; next }
      { runs[$1]++; t[$1, $2] += $4; c[$1, $2]++ }
      $5 == "failed" { failures[$1]++; seeds[$1] = seeds[$1] " " $3 " (" $2 ")" }
      function mean(p, k) { return c[p, k] ? sprintf("%.0f", t[p, k] / c[p, k]) : "none" }
      END { for (i = 1; i <= n; i++) { p = order[i]; name = p; sub(/^github.com\/gatehouse\/gatehouse\/?/, "", name); if (name == "") name = "."
        printf "| `%s` | %d | %d |%s | %s | %s | %s |\n", name, runs[p], failures[p], seeds[p] ? seeds[p] : " none", mean(p, "idle"), mean(p, "load"), ahead[p] } }
    ' "$work/results"
  } >"$page"
fi
[ "$failed" -eq 0 ] || { echo "$failed runs failed" >&2; exit 1; }
