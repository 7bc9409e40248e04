package counter

// TLS counts handshakes: complete ones, those of them that took up an older
// session, and failed ones.
type TLS struct{ Done, Reused, Failed Int }

// Count counts one handshake. Only the owner may call it.
func (t *TLS) Count(failed, reused bool) {
	switch {
	case failed:
		t.Failed.Add(1)
		return
	case reused:
		t.Reused.Add(1)
	}
	t.Done.Add(1)
}
