package sandbox

import (
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// wanted is what the configuration says; the numbers are one more than those of the
// user and the group.
type wanted struct {
	chroot   string
	uid, gid int
}

var settings = slot.New[*stream.Global, wanted]()

// Wanted is what a configuration says of the sandbox.
func Wanted(g *stream.Global) Options {
	w := settings.Value(g)
	return Options{Chroot: w.chroot, UID: w.uid - 1, GID: w.gid - 1}
}

func init() {
	conf.Register(
		conf.Keyword{Name: "user", In: conf.Global, Max: 1, Parse: user},
		conf.Keyword{Name: "group", In: conf.Global, Max: 1, Parse: group},
		conf.Keyword{Name: "uid", In: conf.Global, Max: 1, Parse: uid},
		conf.Keyword{Name: "gid", In: conf.Global, Max: 1, Parse: gid},
		conf.Keyword{Name: "chroot", In: conf.Global, Max: 1, Parse: chroot},
	)
}

func user(c *conf.Ctx) error {
	if c.Again("user", "user/uid") {
		return nil
	}
	n, err := c.Lookup("/etc/passwd", c.Arg(0))
	if err != nil {
		return c.Errorf("cannot find user id for '%s' (%w)", c.Arg(0), err)
	}
	settings.Make(c.Snap.Global).uid = n + 1
	return nil
}

func group(c *conf.Ctx) error {
	if c.Again("group", "gid/group was") {
		return nil
	}
	n, err := c.Lookup("/etc/group", c.Arg(0))
	if err != nil {
		return c.Errorf("cannot find group id for '%s' (%w)", c.Arg(0), err)
	}
	settings.Make(c.Snap.Global).gid = n + 1
	return nil
}

func uid(c *conf.Ctx) error {
	if c.Again("user", "user/uid") {
		return nil
	}
	n, err := strconv.ParseUint(c.Arg(0), 10, 31)
	if err != nil {
		return c.Errorf("uid: string '%s' is not a number.\n   | You might want to use the 'user' parameter to use a system user name.", c.Arg(0))
	}
	settings.Make(c.Snap.Global).uid = int(n) + 1
	return nil
}

func gid(c *conf.Ctx) error {
	if c.Again("group", "group/gid") {
		return nil
	}
	n, err := strconv.ParseUint(c.Arg(0), 10, 31)
	if err != nil {
		return c.Errorf("gid: string '%s' is not a number.\n   | You might want to use the 'group' parameter to use a system group name.", c.Arg(0))
	}
	settings.Make(c.Snap.Global).gid = int(n) + 1
	return nil
}

func chroot(c *conf.Ctx) error {
	if c.Again("chroot", "'chroot'") {
		return nil
	}
	if c.Arg(0) == "" {
		return conf.Predicatef("expects a directory as an argument.")
	}
	settings.Make(c.Snap.Global).chroot = c.Arg(0)
	return nil
}
