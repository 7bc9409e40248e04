package proxyproto

import (
	"crypto/tls"
	"encoding/binary"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
	"github.com/forebay-lb/forebay/proxy/internal/feature/uniqueid"
	"github.com/forebay-lb/forebay/proxy/internal/pki/x509text"
)

// option is what "proxy-v2-options" and the names of the keywords ask for.
type option uint16

const (
	optV1 option = 1 << iota
	optV2
	optSSL
	optCN
	optCipher
	optSigAlg
	optKeyAlg
	optAuthority
	optCRC32C
	optUniqueID
)

// Sender makes the headers for one server. It is a [stream.Preamble], and never
// changed once the configuration is loaded.
type Sender struct {
	opts option
	tlvs []custom
	// check is check-send-proxy.
	check bool
	// neverLocal is the global pp2-never-send-local.
	neverLocal bool
	cipher     *sample.Expr
	sigAlg     *sample.Expr
}

// V1 and V2 make headers of their version where no line of a server says more;
// those of V2 have a checksum.
var (
	V1 = &Sender{opts: optV1}
	V2 = &Sender{opts: optV2 | optCRC32C}
)

// custom is a field of "set-proxy-v2-tlv-fmt".
type custom struct {
	typ    byte
	format *logformat.Format
}

// Append appends the header of a connection that is made for st.
func (s *Sender) Append(dst []byte, st *stream.Stream) []byte {
	src, to := st.Sess.Src, st.Sess.Dst()
	if s.opts&optV2 == 0 {
		return AppendV1(dst, src, to)
	}
	w := beginV2(dst, src, to, false)
	for _, c := range s.tlvs {
		at := w.open(c.typ)
		w.b = c.format.Append(w.b, &st.Scope)
		w.close(at)
	}
	if s.opts&optCRC32C != 0 {
		w.checksum()
	}
	layer := st.Sess.TLS
	if layer != nil {
		if p := layer.Protocol(); p != "" {
			w.field(typeALPN, p)
		}
	}
	if s.opts&optAuthority != 0 && layer != nil {
		if state := layer.State(); state != nil && state.ServerName != "" {
			w.field(typeAuthority, state.ServerName)
		}
	}
	if s.opts&optUniqueID != 0 {
		if id := uniqueid.Of(&st.Scope); len(id) > 0 {
			w.field(typeUniqueID, string(id[:min(len(id), maxUniqueID)]))
		}
	}
	if s.opts&optSSL != 0 {
		s.ssl(w, st, layer)
	}
	return w.end()
}

// AppendOwn appends the header of a connection that is made for nobody else: of a
// health check.
func (s *Sender) AppendOwn(dst []byte, src, to reactor.Addr) []byte {
	if s.opts&optV2 == 0 {
		return AppendV1(dst, src, to)
	}
	w := beginV2(dst, src, to, !s.neverLocal)
	if s.opts&optCRC32C != 0 {
		w.checksum()
	}
	if s.opts&optSSL != 0 {
		w.close(w.openSSL(0, 0))
	}
	return w.end()
}

func (w *builder) openSSL(client byte, verify uint32) int {
	at := w.open(typeSSL)
	w.b = append(w.b, client)
	w.b = binary.BigEndian.AppendUint32(w.b, verify)
	return at
}

// ssl appends what is known of the client's TLS (specification 2.2.6); in clear,
// that there is none.
func (s *Sender) ssl(w *builder, st *stream.Stream, layer *transport.TLS) {
	var state *tls.ConnectionState
	if layer != nil {
		state = layer.State()
	}
	if state == nil {
		w.close(w.openSSL(0, 0))
		return
	}
	client := byte(clientSSL)
	cn := ""
	verify := uint32(0)
	info := ssl.InfoOf(layer)
	if len(state.PeerCertificates) > 0 {
		client |= clientCertSess
		if !layer.Resumed() {
			client |= clientCertConn
		}
		cn = state.PeerCertificates[0].Subject.CommonName
		verify = verified(info)
	}
	at := w.openSSL(client, verify)
	w.field(subVersion, version(state.Version))
	if s.opts&optCN != 0 && cn != "" {
		w.field(subCN, cn)
	}
	if s.opts&optKeyAlg != 0 {
		if info != nil && info.Cert != nil {
			w.field(subKeyAlg, x509text.KeyName(info.Cert.Leaf))
		}
	}
	if s.opts&optSigAlg != 0 {
		w.sample(subSigAlg, s.sigAlg, &st.Scope)
	}
	if s.opts&optCipher != 0 {
		w.sample(subCipher, s.cipher, &st.Scope)
	}
	w.close(at)
}

// sample appends a field with the value of an expression, none without a value.
func (w *builder) sample(typ byte, e *sample.Expr, sc *stream.Scope) {
	v := sample.Borrow(sc)
	if e.Eval(sc, v) {
		at := w.open(typ)
		w.b = v.Append(w.b)
		w.close(at)
	}
	v.Return(sc)
}

// version names a version as OpenSSL does.
func version(v uint16) string {
	if v == tls.VersionTLS10 {
		return "TLSv1"
	}
	return ssl.VersionName(v)
}

// verified is the error of the client's certificate that was let pass, in
// OpenSSL's numbers.
func verified(info *ssl.Info) uint32 {
	if info == nil {
		return 0
	}
	return uint32(info.Verify)
}
