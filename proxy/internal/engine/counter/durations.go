package counter

// Durations are how long, in milliseconds, exchanges took to leave the queue, to
// connect to the server, to get its response, and altogether.
type Durations struct {
	SumQueue, SumConnect, SumResp, SumTotal Int
	MaxQueue, MaxConnect, MaxResp, MaxTotal Int
	Timed                                   Int // how many are in the sums
}

// Add counts an exchange.
func (d *Durations) Add(queue, connect, resp, total int64) {
	d.SumQueue.Add(queue)
	d.SumConnect.Add(connect)
	d.SumResp.Add(resp)
	d.SumTotal.Add(total)
	d.Timed.Add(1)
	d.MaxQueue.Raise(queue)
	d.MaxConnect.Raise(connect)
	d.MaxResp.Raise(resp)
	d.MaxTotal.Raise(total)
}
