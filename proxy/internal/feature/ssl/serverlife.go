package ssl

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	server.OnReplace(carryOver)
	server.OnByUser(func(set *server.Settings) string {
		switch l := serverLines.Of(set); {
		case l == nil || !l.byUser:
			return ""
		case stream.UplinkOf(set).TLS != nil:
			return "ssl on"
		}
		return "ssl off"
	})
	conf.RegisterMemory(conf.Memory{
		Bind:   func(b *stream.Bind) int { return memoryIf(linesOfBinds.Of(b) != nil) },
		Server: func(set *stream.ServerSettings) int { return memoryIf(serverLines.Of(set) != nil) },
	})
	runtimeapi.RegisterSetServer(runtimeapi.SetServer{Word: "ssl", Run: switchTLS})
}

// memoryIf is what a connection needs if it is under TLS, in bytes.
func memoryIf(secured bool) int {
	if secured {
		return 24 << 10
	}
	return 0
}

// carryOver keeps what secures connections if the new settings say the same of it,
// so that connections and sessions made with it are of use still; and TLS switched
// as it was at run time, unless they say something new about it.
func carryOver(old, new *server.Settings) {
	was, is := serverLines.Of(old), serverLines.Of(new)
	if was == nil || is == nil {
		return
	}
	before, after := stream.UplinkOf(old), stream.Uplinks.Edit(new)
	after.TLS = stream.Carry(before.TLS, after.TLS)
	if a, b := ChecksUnderTLS.Of(old), ChecksUnderTLS.Of(new); a != nil && b != nil && a.Adopt(b.Upstream) {
		ChecksUnderTLS.Edit(new).Upstream = a.Upstream
	}
	if is.byUser || !was.byUser || was.on != is.on || is.built == nil {
		return
	}
	serverLines.Edit(new).byUser = true
	switch {
	case before.TLS == nil:
		after.TLS = nil
	case after.TLS == nil:
		after.TLS = stream.Carry(before.TLS, is.built)
	}
	after.Clear = false
}

// switchTLS is "set server … ssl": it switches TLS on or off for the traffic of a
// server whose line says how it is secured; its checks go on as they were.
func switchTLS(c *runtimeapi.Conn, p *stream.Proxy, s *server.Server, args []string) error {
	l := serverLines.Of(s.Settings())
	if l == nil || l.built == nil {
		return runtimeapi.Errorf("'set server <srv> ssl' cannot be set.  default-server should define ssl settings\n")
	}
	how := args[0]
	if how != "on" && how != "off" {
		return runtimeapi.Errorf("'set server <srv> ssl' expects 'on' or 'off'.\n")
	}
	c.Worker.Mu.Lock()
	set := *s.Settings()
	serverLines.Edit(&set).byUser = true
	up := stream.Uplinks.Edit(&set)
	up.TLS, up.Clear = nil, false
	if how == "on" {
		up.TLS = l.built
	}
	s.Replace(c.R.Wall(), &set)
	c.Worker.Mu.Unlock()
	runtimeapi.ServerChanged(c.Worker, p, s)
	return c.Printf("server ssl setting updated.\n")
}
