package proxyproto

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// neverLocal is the global pp2-never-send-local.
var neverLocal = slot.New[*stream.Global, bool]()

func init() {
	conf.RegisterServer(
		on("send-proxy", optV1), off("no-send-proxy", optV1),
		on("send-proxy-v2", optV2), off("no-send-proxy-v2", optV2),
		on("send-proxy-v2-ssl", optV2|optSSL), off("no-send-proxy-v2-ssl", optV2|optSSL),
		on("send-proxy-v2-ssl-cn", optV2|optSSL|optCN), off("no-send-proxy-v2-ssl-cn", optV2|optSSL|optCN),
		conf.ServerOption{Name: "proxy-v2-options", Args: 1, Dynamic: true, Parse: v2Options},
		conf.ServerOption{Name: "set-proxy-v2-tlv-fmt", Paren: true, Dynamic: true, Parse: customTLV},
		conf.ServerOption{Name: "check-send-proxy", Dynamic: true, Parse: checkSend(true)},
		conf.ServerOption{Name: "no-check-send-proxy", Dynamic: true, Parse: checkSend(false)},
	)
	conf.RegisterServerFinish(finish)
	conf.Register(conf.Keyword{Name: "pp2-never-send-local", In: conf.Global, InPlace: true, Max: 0, Parse: func(c *conf.Ctx) error {
		*neverLocal.Make(c.Snap.Global) = true
		return nil
	}})
}

// senders are what the lines of servers say; ForChecks hang on the settings of
// servers whose checks send a header, too.
var (
	senders   = slot.New[*server.Settings, Sender]()
	ForChecks = slot.New[*server.Settings, *Sender]()
)

func on(name string, o option) conf.ServerOption {
	return conf.ServerOption{Name: name, Dynamic: true, Parse: func(_ *conf.Ctx, set *stream.ServerSettings, _ []string) (int, error) {
		senders.Edit(set).opts |= o
		return 1, nil
	}}
}

func off(name string, o option) conf.ServerOption {
	return conf.ServerOption{Name: name, Dynamic: true, Parse: func(_ *conf.Ctx, set *stream.ServerSettings, _ []string) (int, error) {
		senders.Edit(set).opts &^= o
		return 1, nil
	}}
}

func checkSend(yes bool) func(*conf.Ctx, *stream.ServerSettings, []string) (int, error) {
	return func(_ *conf.Ctx, set *stream.ServerSettings, _ []string) (int, error) {
		senders.Edit(set).check = yes
		return 1, nil
	}
}

var v2Names = map[string]option{
	"ssl": optSSL, "cert-cn": optSSL | optCN, "ssl-cipher": optSSL | optCipher, "cert-sig": optSSL | optSigAlg, "cert-key": optSSL | optKeyAlg,
	"authority": optAuthority, "crc32c": optCRC32C, "unique-id": optUniqueID,
}

func v2Options(_ *conf.Ctx, set *stream.ServerSettings, words []string) (int, error) {
	list := ""
	if len(words) > 1 {
		list = words[1]
	}
	s := senders.Edit(set)
	for _, w := range strings.Split(list, ",") {
		o := v2Names[w]
		if o == 0 {
			return 0, conf.About(w, conf.Causef("proxy v2 option not implemented"))
		}
		s.opts |= o
	}
	return 2, nil
}

// maxCustom bounds how many fields of its own a server's header may have.
const maxCustom = 64

// customTLV reads "set-proxy-v2-tlv-fmt(<id>) <fmt>".
func customTLV(c *conf.Ctx, set *stream.ServerSettings, words []string) (int, error) {
	_, inside, _ := strings.Cut(words[0], "(")
	id, closed := strings.CutSuffix(inside, ")")
	n, err := strconv.ParseUint(id, 0, 8)
	if !closed || err != nil {
		return 0, conf.Causef("expects the type of the field in parentheses, a number between 0 and 255")
	}
	if len(words) < 2 || words[1] == "" {
		return 0, conf.Causef("expects a log-format string as argument")
	}
	f, err := logformat.Compile(c, words[1], logformat.Options{Where: sample.SourceSelection, Raw: true})
	if err != nil {
		return 0, conf.Causef("%w", err)
	}
	s := senders.Edit(set)
	if len(s.tlvs) >= maxCustom {
		return 0, conf.Causef("too many fields (maximum is %d)", maxCustom)
	}
	s.tlvs = append(s.tlvs[:len(s.tlvs):len(s.tlvs)], custom{byte(n), f})
	return 2, nil
}

// SenderOf gives what makes the headers of a server's traffic, nil if it has none.
func SenderOf(set *server.Settings) *Sender {
	if s := senders.Of(set); s != nil && s.opts&(optV1|optV2) != 0 {
		return s
	}
	return nil
}

// finish decides what the options on a server's line come to.
func finish(c *conf.Ctx, _ *stream.Proxy, name string, set *stream.ServerSettings) error {
	if senders.Of(set) == nil {
		return nil
	}
	s := senders.Edit(set)
	k := &set.Check
	sends := s.opts&(optV1|optV2) != 0
	// The manual: checks do as the traffic, if they go to the same place; those of
	// servers added at run time only what they are told.
	checks := s.check || sends && !c.Dynamic && k.Port == 0 && !k.Addr.IsValid()
	if sends {
		stream.Uplinks.Edit(set).Preamble = s
	} else if s.opts != 0 || len(s.tlvs) > 0 {
		c.Warn("'server %s/%s' : options of the PROXY protocol's version 2 have no effect without 'send-proxy-v2'.", c.Proxy.Name, name)
	}
	if !sends && !checks {
		return nil
	}
	if err := s.compile(c); err != nil {
		return err
	}
	if checks {
		ForChecks.Set(set, s)
	}
	return nil
}

// compile makes ready what the options need.
func (s *Sender) compile(c *conf.Ctx) (err error) {
	if p := neverLocal.Of(c.Snap.Global); p != nil {
		s.neverLocal = *p
	}
	for _, e := range []struct {
		need  option
		fetch string
		expr  **sample.Expr
	}{
		{optCipher, "ssl_fc_cipher", &s.cipher},
		{optSigAlg, "ssl_f_sig_alg", &s.sigAlg},
	} {
		if s.opts&e.need == 0 {
			continue
		}
		if *e.expr, err = sample.Parse(c, e.fetch); err != nil {
			return fmt.Errorf("'proxy-v2-options' : %w", err)
		}
	}
	return nil
}
