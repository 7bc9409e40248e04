#!/bin/sh
# Measures Forebay beside HAProxy, see proxy/cmd/forebay-bench. Arguments go
# through: -only names, -rounds n, -seconds n, -detail, -list, -strict, -table.
#
# HAPROXY names the HAProxy to compare with (default: the one in the PATH or the
# distribution's), FOREBAY what is measured (default: bin/forebay).
set -eu
cd "$(dirname "$0")/.."
export FOREBAY="${FOREBAY:-$PWD/bin/forebay}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -o "$dir/forebay-bench" ./proxy/cmd/forebay-bench
"$dir/forebay-bench" "$@"
