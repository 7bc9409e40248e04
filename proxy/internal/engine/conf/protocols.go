package conf

import (
	"slices"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	RegisterServer(
		ServerOption{Name: "proto", Args: 1, Dynamic: true, Parse: func(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
			p, err := protocol(words)
			s.Proto = p
			return 2, err
		}},
		ServerOption{Name: "idle-ping", Args: 1, Dynamic: true, Parse: func(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
			d, err := interval(words)
			s.IdlePing = d
			return 2, err
		}},
		ServerOption{Name: "ws", Args: 1, Dynamic: true, Parse: func(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
			if len(words) < 2 || !slices.Contains([]string{"auto", "h1", "h2"}, words[1]) {
				return 0, Predicatef("has to be 'auto', 'h1' or 'h2'.")
			}
			s.WS = strings.TrimPrefix(words[1], "auto")
			return 2, nil
		}},
	)
	RegisterServerFinish(func(_ *Ctx, p *stream.Proxy, _ string, s *stream.ServerSettings) error {
		if proto := stream.ProtocolNamed(s.Proto); proto != nil && (proto.Mode != p.Mode || !proto.ForServers()) {
			return say("MUX protocol '%s' is not usable for it.", s.Proto)
		}
		return nil
	})
}

// protocol reads the word after "proto".
func protocol(words []string) (string, error) {
	v, err := value(words)
	if err != nil {
		return "", err
	}
	if stream.ProtocolNamed(v) != nil {
		return v, nil
	}
	if FutureProtocol(v) {
		return "", NotYet("option", "proto "+v)
	}
	return "", say("'proto' :  unknown MUX protocol '%s'", v)
}

// FutureProtocol tells whether HAProxy knows a protocol by that name, and we do not.
func FutureProtocol(name string) bool {
	return slices.Contains([]string{"fcgi", "quic", "qmux", "spop"}, name) && stream.ProtocolNamed(name) == nil
}

// bindProto is "proto" on a bind line.
func bindProto(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	p, err := protocol(words)
	b.Proto = p
	return 2, err
}

// bindIdlePing is "idle-ping" on a bind line.
func bindIdlePing(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	d, err := interval(words)
	b.IdlePing = d
	return 2, err
}

// interval reads a time in milliseconds after an option.
func interval(words []string) (time.Duration, error) {
	v, err := value(words)
	if err != nil {
		return 0, err
	}
	d, err := config.ParseTime(v, time.Millisecond)
	if err != nil {
		return 0, Causef("%w", err)
	}
	return d, nil
}

// protocols looks whether protocols fit the modes.
func (l *Loading) protocols() {
	for _, p := range l.Snap.Proxies {
		for _, b := range p.Binds {
			if proto := stream.ProtocolNamed(b.Proto); proto != nil && (proto.Mode != p.Mode || !proto.ForClients()) {
				l.Alert(b.Pos, "proxy '%s' : MUX protocol '%s' is not usable for 'bind %s' at [%s].", p.Name, b.Proto, b.Addr, b.Pos)
			}
		}
	}
}
