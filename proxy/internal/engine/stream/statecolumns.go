package stream

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// What a proxy, a server and a listener are, and how they are.
func init() {
	RegisterColumn(
		// What it is.
		newColumn("pxname", "Name of the proxy", all(func(o *Object) column.Value { return column.Str("KNSV", o.Proxy.Name) })),
		newColumn("svname", "Name of the server, FRONTEND or BACKEND", all(func(o *Object) column.Value { return column.Str("KNSV", objectName(o)) })),
		newColumn("pid", "Number of the process", all(fixed(column.U32("KGPV", 1)))),
		newColumn("iid", "Number of the proxy", all(func(o *Object) column.Value { return column.U32("KGSV", int64(o.Proxy.ID)) })),
		newColumn("sid", "Number of the server in its proxy", all(func(o *Object) column.Value { return column.U32("KGSV", int64(ObjectID(o))) })),
		newColumn("srid", "Revision of the server's number", of(nil, nil, fixed(column.U32("KGSV", 0)), nil)),
		newColumn("type", "Kind of object (0 frontend, 1 backend, 2 server, 3 listener)", all(func(o *Object) column.Value { return column.Setting(int64(o.Kind)) })),
		newColumn("mode", "Mode of the proxy", all(func(o *Object) column.Value { return column.Str("CGSV", o.Proxy.Mode.String()) })),
		newColumn("addr", "Address and port of the server", of(nil, nil,
			detail(func(o *Object) column.Value { return column.Str("CGSV", addrText(o.State.Addr)) }),
			detail(func(o *Object) column.Value { return column.Str("CGSV", addrText(o.Bind.Addr)) }))),
		newColumn("proto", "Protocol of the listener", of(nil, nil, nil, func(o *Object) column.Value { return column.Str("SGPV", network(o.Bind.Addr)) })),

		// Its state.
		newColumn("status", "Status (UP, DOWN, NOLB, MAINT, no check, OPEN …)", of(
			func(o *Object) column.Value { return column.Str("SGPV", frontStatus(o.Proxy.FE)) },
			func(o *Object) column.Value { return column.Str("SGPV", backStatus(o)) },
			func(o *Object) column.Value { return column.Str("SGPV", o.Settings.Status(o.State)) },
			func(o *Object) column.Value { return column.Str("SGPV", o.Listener.Status()) })),
		newColumn("lastchg", "Seconds since the last change of the status", of(nil,
			func(o *Object) column.Value { return column.U32("MAPV", backAge(o)) },
			func(o *Object) column.Value { return column.U32("MAPV", seconds(o.Now.Sub(o.State.LastChange))) }, nil)),
		newColumn("downtime", "Seconds spent down", of(nil, backDown, serverDown, nil)),
	)
}

// objectName is the name of an object within its proxy.
func objectName(o *Object) string {
	switch o.Kind {
	case column.Frontend:
		return "FRONTEND"
	case column.Backend:
		return "BACKEND"
	case column.Server:
		return o.Server.Name
	}
	return o.Bind.ListenerName()
}

// ObjectID is the number of an object within its proxy.
func ObjectID(o *Object) int {
	switch o.Kind {
	case column.Server:
		return o.Server.ID
	case column.Listener:
		return o.Bind.ID
	}
	return 0
}

func frontStatus(fe *FrontState) string {
	if fe.Paused.Load() {
		return "PAUSED"
	}
	return "OPEN"
}

// backUp tells whether a backend takes streams.
func backUp(be *BackState) bool {
	_, _, weight := be.Usable()
	return weight > 0 || len(be.Servers()) == 0
}

func backStatus(o *Object) string {
	be, status := o.Proxy.BE, "UP"
	if !backUp(be) {
		status = "DOWN"
	}
	if !o.Count {
		return status
	}
	up := 0
	for _, s := range be.Servers() {
		if s.State().Up() {
			up++
		}
	}
	return fmt.Sprintf("%s (%d/%d)", status, up, len(be.Servers()))
}

// backAge is the time since a backend's last change, in seconds.
func backAge(o *Object) int64 {
	changed := o.Proxy.BE.LastChange.Load()
	if changed == 0 {
		changed = o.W.Started.Unix()
	}
	return max(o.Now.Unix()-changed, 0)
}

func backDown(o *Object) column.Value {
	down := o.Proxy.BE.DownTime.Load()
	if !backUp(o.Proxy.BE) {
		down += backAge(o)
	}
	return column.U32("MCPV", down)
}

func serverDown(o *Object) column.Value {
	if !o.Settings.Check.Enabled || o.State.CheckPaused {
		return column.Value{}
	}
	down := o.State.DownTotal
	if !o.State.DownSince.IsZero() {
		down += o.Now.Sub(o.State.DownSince)
	}
	return column.U32("MCPV", seconds(down))
}

func network(a reactor.Addr) string {
	switch {
	case a.IsUnix():
		return "unix_stream"
	case a.IP.Is4():
		return "tcpv4"
	}
	return "tcpv6"
}

func addrText(a reactor.Addr) string {
	if a.IsUnix() {
		return "unix"
	}
	if !a.IsValid() {
		return ""
	}
	return net.JoinHostPort(a.IP.Unmap().String(), strconv.Itoa(int(a.Port)))
}

func seconds(d time.Duration) int64 { return max(int64(d/time.Second), 0) }
