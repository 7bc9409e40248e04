package snapshot

import "testing"

func TestDiff(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"the same", "backend b\n timeout server 5s\n", "\n# only layout\nbackend  b\n\n   timeout server   5s # as before\n", ""},
		{"a value", "backend app\n timeout server 5s\n", "backend app\n timeout server 6s\n", "~ backend app: timeout server 5s -> 6s\n"},
		{"set and unset", "backend app\n timeout server 5s\n", "backend app\n timeout connect 6s\n", "~ backend app: timeout connect unset -> 6s\n~ backend app: timeout server 5s -> unset\n"},
		{"options", "backend b\n option allbackups\n", "backend b\n no option allbackups\n option tcpka\n", "~ backend b: option allbackups on -> off\n~ backend b: option tcpka unset -> on\n"},
		{"sections", "backend a\n server s 192.0.2.1:1\nbackend b\n", "backend b\nbackend c\n server s 192.0.2.1:1\n", "+ backend c\n- backend a\n"},
		{
			"servers", "backend b\n server s1 192.0.2.1:1 weight 1 backup\n server s2 192.0.2.1:2\n server s3 192.0.2.1:3\n",
			"backend b\n server s1 192.0.2.1:1 weight 2 backup\n server s2 192.0.2.1:2 disabled\n server s4 192.0.2.1:3\n",
			"~ server b/s1: weight 1 -> weight 2\n~ server b/s2: unset -> disabled\n+ server b/s4\n- server b/s3\n",
		},
		{"binds", "frontend f\n bind :1001\n bind :1002\n", "frontend f\n bind :1001 maxconn 5\n bind :1003\n", "~ bind f/:1001: unset -> maxconn 5\n+ bind f/:1003\n- bind f/:1002\n"},
		{"global in place", "global\n maxconn 5\n", "global\n maxconn 6\n node x\n", "~ global maxconn 5 -> 6\n~ global node unset -> x\n"},
		{"HTTP/2 in place", "global\n tune.h2.log-errors none\n", "global\n h2-workaround-bogus-websocket-clients\n", "~ global h2-workaround-bogus-websocket-clients unset -> on\n~ global tune.h2.log-errors none -> unset\n"},
		{"global not in place", "global\n nbthread 2\n", "global\n nbthread 4\n daemon\n", "! global nbthread 2 -> 4: needs a reload\n! global daemon unset -> on: needs a reload\n"},
		{"global gone", "global\n nbthread 2\n maxconn 7\n", "", "! global nbthread 2 -> unset: needs a reload\n~ global maxconn 7 -> unset\n"},
		{"global new", "", "global\n tune.bufsize 8192\n", "! global tune.bufsize unset -> 8192: needs a reload\n"},
		{"runtime sockets", "global\n stats socket /a level user\n stats socket /b\n", "global\n stats socket /a level admin\n stats socket /c\n", "~ stats socket /a: level user -> level admin\n+ stats socket /c\n- stats socket /b\n"},
		{"defaults", "defaults d\n retries 3\nbackend b from d\n", "defaults d\n retries 4\nbackend b from d\n", "~ defaults d: retries 3 -> 4\n"},
		{"parent", "defaults d\ndefaults e\nbackend b from d\n", "defaults d\ndefaults e\nbackend b from e\n", "~ backend b: from d -> e\n"},
		{"implicit parent", "defaults\ndefaults\nbackend b\n", "defaults\nbackend b\ndefaults\n", "~ backend b: from (unnamed 2) -> (unnamed 1)\n"},
		{"error files", "backend b\n errorfile 503 /e503\n errorfile 502 /e503\n", "backend b\n errorfile 503 /e503\n errorfile 502 /dev/null\n", "~ backend b: errorfile 502 /e503 -> /dev/null\n"},
		{
			"several of one kind", "backend b\n default-server weight 1\n default-server maxconn 2\n", "backend b\n default-server weight 1\n default-server maxconn 3\n",
			"~ backend b: - default-server maxconn 2\n~ backend b: + default-server maxconn 3\n",
		},
		{"order", "backend b\n default-server weight 1\n default-server weight 2\n", "backend b\n default-server weight 2\n default-server weight 1\n", "~ backend b: order of 'default-server' lines\n"},
	} {
		if got := lines(Diff(mustLoad(t, c.old), mustLoad(t, c.new))); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}
