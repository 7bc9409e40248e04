package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/slot"

// Slots are what features keep of the exchange. They are emptied for the next one
// ([slot.Resetter]).
func (st *Stream) Slots() *slot.Values { return &st.slots }

// Slots are what features keep of the client's connection.
func (s *Session) Slots() *slot.Values { return &s.slots }
