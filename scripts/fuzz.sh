#!/usr/bin/env bash
# Runs every fuzz target of both modules for a while each: fuzz.sh 20s
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-20s}

for module in proxy dataplaneapi; do
	for dir in $(cd "$module" && grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u); do
		for target in $(cd "$module" && grep -h '^func Fuzz' "$dir"/*_test.go | sed 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/'); do
			echo "== $module/$dir $target"
			# A budget of executions by time; the runner's own deadline error at the
			# end of a run is not a finding.
			out=$(cd "$module" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$dir" 2>&1) && { tail -n 2 <<<"$out"; continue; }
			if grep -q 'context deadline exceeded' <<<"$out" && ! grep -q 'Failing input written' <<<"$out"; then
				tail -n 2 <<<"$out"
				continue
			fi
			printf '%s\n' "$out"
			exit 1
		done
	done
done
