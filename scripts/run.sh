#!/usr/bin/env bash
# The demonstration of `make run`: an example configuration under scratch/demo,
# both programs, and what to try. Ctrl-C ends both.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$PWD/scratch/demo
web=${FOREBAY_DEMO_PORT:-8080}    # the proxy
api=${FOREBAY_DEMO_API_PORT:-5555} # REST
app=${FOREBAY_DEMO_APP_PORT:-9001} # three "application servers" from here on
for use in "$web:FOREBAY_DEMO_PORT" "$api:FOREBAY_DEMO_API_PORT" "$app:FOREBAY_DEMO_APP_PORT" "$((app + 1)):FOREBAY_DEMO_APP_PORT" "$((app + 2)):FOREBAY_DEMO_APP_PORT"; do
	# Asked before: another demonstration would share its ports with this one.
	if (exec 3<>"/dev/tcp/127.0.0.1/${use%%:*}") 2>/dev/null; then
		echo "Port ${use%%:*} is in use by another program: set ${use#*:} to a free one." >&2
		exit 1
	fi
done
rm -rf "$dir"
mkdir -p "$dir"
sed -e "s|@DIR@|$dir|g" -e "s|@WEB@|$web|g" -e "s|@APP1@|$app|g" -e "s|@APP2@|$((app + 1))|g" -e "s|@APP3@|$((app + 2))|g" \
	deploy/examples/demo.cfg >"$dir/forebay.cfg"
sed -e "s|@DIR@|$dir|g" -e "s|@API@|$api|g" -e "s|@BIN@|$PWD/bin|g" deploy/examples/demo-dataplaneapi.yaml >"$dir/dataplaneapi.yaml"
chmod 600 "$dir/forebay.cfg" "$dir/dataplaneapi.yaml"

bin/forebay -W -S "$dir/master.sock" -f "$dir/forebay.cfg" >"$dir/forebay.log" 2>&1 &
proxy=$!
trap 'kill "$proxy" ${rest:-} 2>/dev/null; wait' EXIT
trap 'exit 0' INT TERM
await() { # until the command works, or the program has ended
	for _ in $(seq 100); do
		"${@:2}" >/dev/null 2>&1 && return
		kill -0 "$1" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 20 "$dir"/*.log >&2
	exit 1
}
await "$proxy" curl -fs "http://127.0.0.1:$web/healthz"
bin/dataplaneapi -f "$dir/dataplaneapi.yaml" >"$dir/dataplaneapi.log" 2>&1 &
rest=$!
url=http://127.0.0.1:$api/v3
await "$rest" curl -fs -u admin:demo "$url/info"

cat <<TEXT

Forebay runs: master $proxy, REST on port $api, logs in $dir. Try, in another terminal:

  # traffic: the servers take turns
  for i in 1 2 3 4; do curl -s http://127.0.0.1:$web/; done

  # add a server; it takes traffic at once, no process was replaced
  v=\$(curl -s -u admin:demo $url/services/haproxy/configuration/version)
  curl -s -u admin:demo -H 'Content-Type: application/json' -d '{"name":"s3","address":"127.0.0.1","port":$((app + 2)),"check":"enabled"}' "$url/services/haproxy/configuration/backends/app/servers?version=\$v"
  for i in 1 2 3 4 5 6; do curl -s http://127.0.0.1:$web/; done

  # it is in the file, and the rest of the file is as it was
  grep -n server $dir/forebay.cfg

  # change the file by hand, and reload
  sed -i 's/hello from s1/good day from s1/' $dir/forebay.cfg
  kill -USR2 $proxy; sleep 1
  for i in 1 2 3; do curl -s http://127.0.0.1:$web/; done

  # look inside: the statistics page in a browser (http://127.0.0.1:$web/stats), and the figures for Prometheus
  curl -s http://127.0.0.1:$web/metrics
  curl -s -u admin:demo $url/services/haproxy/stats/native
  curl -s -u admin:demo $url/services/haproxy/runtime/backends/app/servers
$(command -v socat >/dev/null && printf "  echo 'show stat' | socat - UNIX-CONNECT:%s\n  echo 'show proc' | socat - UNIX-CONNECT:%s" "$dir/forebay.sock" "$dir/master.sock")

Ctrl-C ends it.
TEXT
wait "$proxy"
