// Package capture keeps what exchanges show for as long as they last: fields of
// heads, a cookie, values of expressions. Logs tell of them (%hr, %hs, %CC …) when
// the heads are long gone, and expressions find them again (capture.req.hdr).
//
// A frontend declares what it keeps, and how much of each: its [layout]. What an
// exchange has captured is one block of that size, hung on the stream and used
// again with it, so that a capture allocates nothing. The layout is the one of the
// frontend that the exchange began at, whatever configuration came into force since.
package capture
