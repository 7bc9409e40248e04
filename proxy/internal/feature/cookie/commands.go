package cookie

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	const admin = runtimeapi.Admin
	runtimeapi.Register(
		runtimeapi.Command{Words: "enable dynamic-cookie backend", Level: admin, Usage: "<bk>", Help: "enable dynamic cookies on a specific backend", Run: change(0, func(k *secret, _ string) { k.on = true })},
		runtimeapi.Command{Words: "disable dynamic-cookie backend", Level: admin, Usage: "<bk>", Help: "disable dynamic cookies on a specific backend", Run: change(0, func(k *secret, _ string) { k.on = false })},
		runtimeapi.Command{Words: "set dynamic-cookie-key backend", Level: admin, Usage: "<bk> <k>", Help: "change a backend secret key for dynamic cookies", Run: change(1, func(k *secret, key string) { k.key = key })},
	)
}

// change is a command that changes the secret of a backend, with so many arguments
// behind its name.
func change(more int, f func(k *secret, arg string)) func(*runtimeapi.Conn, []string) error {
	return func(c *runtimeapi.Conn, args []string) error {
		if len(args) == 0 {
			return runtimeapi.Errorf("A backend name is expected.\n")
		}
		c.Worker.Mu.Lock()
		defer c.Worker.Mu.Unlock() // no other configuration meanwhile, nor another command
		p := c.Backend(args[0])
		if p == nil {
			return runtimeapi.Errorf("No such backend.\n")
		}
		arg := ""
		if more > 0 {
			if len(args) < 2 {
				return runtimeapi.Errorf("String value expected.\n")
			}
			arg = args[1]
		}
		set(p, func(k *secret) { f(k, arg) })
		return nil
	}
}

// set changes the secret that is in force.
func set(p *stream.Proxy, f func(*secret)) {
	at := secrets.In(p.BE)
	var k secret
	if now := at.Load(); now != nil {
		k = *now
	}
	f(&k)
	at.Store(&k)
}
