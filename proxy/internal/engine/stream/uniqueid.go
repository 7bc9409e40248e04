package stream

// UniqueID is the exchange's unique ID, made when it is first asked for. It is
// empty if the frontend has no format for it (manual, unique-id-format), and
// without an exchange.
func (sc *Scope) UniqueID() []byte {
	st := sc.Stream
	if st == nil {
		return nil
	}
	if len(st.uniqueID) == 0 && st.FE.UniqueID != nil {
		st.uniqueID = st.FE.UniqueID(st.uniqueID[:0], &st.Scope)
	}
	return st.uniqueID
}

// addUniqueID adds the field that carries it to the request.
func (st *Stream) addUniqueID() {
	if id := st.UniqueID(); len(id) > 0 {
		st.Req.Add(st.Req.CopyString(st.FE.UniqueIDHeader), st.Req.Copy(id))
	}
}
