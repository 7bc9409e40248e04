package counter

// Traffic are the bytes of exchanges in four places: what clients sent, what of it
// went to servers, what servers sent, and what went to clients. What is counted is
// said by who fills it in.
type Traffic struct {
	ReqIn, ReqOut, ResIn, ResOut Int
}

// Add counts an exchange.
func (t *Traffic) Add(reqIn, reqOut, resIn, resOut int64) {
	t.ReqIn.Add(reqIn)
	t.ReqOut.Add(reqOut)
	t.ResIn.Add(resIn)
	t.ResOut.Add(resOut)
}
