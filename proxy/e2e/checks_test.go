package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// The manual's example finds the master among Redis servers, which may change.
func TestRedisMaster(t *testing.T) {
	redis := tool(t, "redis-server")
	first, second := port(t), port(t)
	run := func(port int, more ...string) *program {
		dir := scratch(t)
		return start(t, redis, append([]string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--dir", dir}, more...)...)
	}
	run(first)
	run(second, "--replicaof", "127.0.0.1", fmt.Sprint(first))
	addr := address(t)
	p := serve(t, preface+fmt.Sprintf(`listen redis
    mode tcp
    bind %s
    option log-health-checks
    option tcp-check
    tcp-check comment PING\ phase
    tcp-check send PING\r\n
    tcp-check expect string +PONG
    tcp-check comment role\ check
    tcp-check send info\ replication\r\n
    tcp-check expect min-recv 10 string role:master
    tcp-check comment QUIT\ phase
    tcp-check send QUIT\r\n
    tcp-check expect string +OK
    default-server inter 100ms fall 1 rise 1 check
    server r1 127.0.0.1:%d
    server r2 127.0.0.1:%d
`, addr, first, second), "-W")
	p.awaitStat("redis", "r1", "status", "UP")
	p.awaitStat("redis", "r2", "status", "DOWN")
	if got := p.stat("redis", "r2", "last_chk"); got != "TCPCHK did not match content 'role:master' at step 6" {
		t.Errorf("%q", got)
	}
	if got := p.stat("redis", "r1", "last_chk"); got != "(tcp-check)" {
		t.Errorf("%q", got)
	}
	ask := func(port int, command string) string {
		return sh(t, fmt.Sprintf("printf '%s\\r\\nQUIT\\r\\n' | socat - TCP:127.0.0.1:%d", command, port))
	}
	var at int
	fmt.Sscanf(addr, "127.0.0.1:%d", &at)
	if got := ask(at, "INFO replication"); !strings.Contains(got, "role:master") {
		t.Errorf("%q", got)
	}
	ask(second, "REPLICAOF NO ONE")
	ask(first, fmt.Sprintf("REPLICAOF 127.0.0.1 %d", second))
	p.awaitStat("redis", "r2", "status", "UP")
	p.awaitStat("redis", "r1", "status", "DOWN")
	if got := ask(at, "INFO replication"); !strings.Contains(got, "role:master") {
		t.Errorf("%q", got)
	}
}
