package counter

// TLS counts handshakes: complete ones, those of them that took up an older
// session, and failed ones. Stapled and Unstapled are those of clients that asked for
// the state of a certificate that has one, or should.
type TLS struct{ Done, Reused, Failed, Stapled, Unstapled Int }

// Staple is what became of a client's wish for the state of a certificate.
type Staple uint8

// NoStaple: nobody asked, or there is nothing to ask for.
const (
	NoStaple Staple = iota
	Stapled
	Unstapled
)

// Count counts one handshake. Only the owner may call it.
func (t *TLS) Count(failed, reused bool, s Staple) {
	if !reused { // no certificate is sent
		switch s {
		case Stapled:
			t.Stapled.Add(1)
		case Unstapled:
			t.Unstapled.Add(1)
		}
	}
	switch {
	case failed:
		t.Failed.Add(1)
		return
	case reused:
		t.Reused.Add(1)
	}
	t.Done.Add(1)
}
