#!/usr/bin/env bash
# Installs what the tests drive, from the distribution's packages. Without the
# right to install, it says what is missing; the tests that need it say so too.
set -euo pipefail

declare -A package=(
	[haproxy]=haproxy [wrk]=wrk [curl]=curl [socat]=socat [jq]=jq
	[openssl]=openssl [h2load]=nghttp2-client [nghttp]=nghttp2-client [strace]=strace [gcc]=gcc
	[systemd-socket-activate]=systemd [systemd-analyze]=systemd
	[hatop]=hatop [tmux]=tmux [prometheus]=prometheus [promtool]=prometheus [rsyslogd]=rsyslog [redis-server]=redis-server
)

missing=()
for command in "${!package[@]}"; do
	command -v "$command" >/dev/null || [ -x "/usr/sbin/$command" ] || missing+=("${package[$command]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# The packages' services must not start: the tests start their own.
	RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
	echo "MISSING, and not installed since this is not root on Debian: ${missing[*]}" >&2
	echo "Tests that need them will be skipped." >&2
fi
