#!/bin/sh
# Makes proxy/cmd/forebay/default.pgo, from which the compiler learns what is
# called often: the program runs the scenes of the benchmark while its processor
# is sampled. Run it on a quiet machine when the hot path has changed.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export CGO_ENABLED=0
go build -o "$dir/forebay-bench" ./proxy/cmd/forebay-bench
go build -tags profile -pgo off -o "$dir/forebay" ./proxy/cmd/forebay
mkdir "$dir/profiles"
FOREBAY="$dir/forebay" "$dir/forebay-bench" -profile "$dir/profiles" "$@"
go tool pprof -proto "$dir"/profiles/*.pprof >proxy/cmd/forebay/default.pgo
ls -l proxy/cmd/forebay/default.pgo
