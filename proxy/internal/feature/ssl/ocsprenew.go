package ssl

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logs"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/pki/ocsp"
)

// renewer keeps OCSP responses fresh for the life of a worker: it fetches new ones
// and takes away those that have ended. All of it runs on goroutines.
type renewer struct {
	mu    sync.Mutex
	by    map[string]*renewal // by ID
	timer *time.Timer
	at    time.Time // when it goes off

	scan  sync.Mutex    // one scan at a time
	slots chan struct{} // limits the fetches that run
}

// renewal is what is known of the responses for one certificate.
type renewal struct {
	next, last time.Time // zero: not known; never
	good, bad  int       // fetches
	row        int       // failures since the last good one
	result     int       // see results
	why        string    // more of it, "" if there is none
	busy       bool
}

// Results of a renewal (management.txt 9.3, "show ssl ocsp-updates").
const (
	updateUnknown = iota
	updateDone
	updateHTTP
	updateHeader
	updateCheck
	updateInsert
)

var results = []string{
	"Unknown", "Update successful", "HTTP error", "Missing \"ocsp-response\" header", "OCSP response check failure", "Error during insertion",
}

const (
	maxFetches = 8           // at a time
	pause      = time.Second // between two scans
	margin     = time.Minute // before the end of a response
	retry      = time.Minute // after the first failure
)

var renewals = slot.NewLive[*stream.Worker, renewer]()

func init() {
	snapshot.RegisterAfter("ocsp", func(t *snapshot.Transition) { renewals.In(t.Worker).look(t.Worker, time.Now()) })
}

// follow looks at all certificates in the background, after some have changed.
func (k *renewer) follow(w *stream.Worker) { go k.look(w, time.Now()) }

// look does what is due now, and sets the timer for what will be. It must not be
// called on a reactor.
func (k *renewer) look(w *stream.Worker, now time.Time) {
	if w.Stopping.Load() {
		return
	}
	k.scan.Lock()
	defer k.scan.Unlock()
	g := w.Snapshot().Global
	u := updates.Of(g)
	if u == nil {
		return // the graph was not made of a configuration
	}
	next := now.Add(u.longest)
	seen := map[string]bool{}
	for _, s := range statuses(g) {
		seen[string(s.id)] = true
		if at := k.one(w, u, s, now); !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	k.mu.Lock()
	for id, r := range k.by {
		if !seen[id] && !r.busy {
			delete(k.by, id)
		}
	}
	k.mu.Unlock()
	forget(now)
	if len(seen) > 0 {
		k.wake(w, next)
	}
}

// one does what is due for a certificate and tells when something will be, zero for
// never.
func (k *renewer) one(w *stream.Worker, u *ocspUpdates, s *status, now time.Time) time.Time {
	r := k.get(s.id)
	var at time.Time
	s.adopt(now)
	response := s.response()
	if response != nil {
		if at = expires(response); !now.Before(at) {
			s.staple(nil)
			response, at = nil, time.Time{}
		}
	}
	if !s.renewed {
		return at
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.next.IsZero() {
		r.next = now
		if response != nil {
			r.next = u.after(response, now)
		}
	}
	switch {
	case r.busy:
		return at
	case !now.Before(r.next):
		r.busy = true
		go func() {
			k.slots <- struct{}{}
			defer func() { <-k.slots }()
			k.renew(w, s)
		}()
		return at
	case at.IsZero() || r.next.Before(at):
		return r.next
	}
	return at
}

// after tells when a response is to be renewed that was got now.
func (u *ocspUpdates) after(response []byte, now time.Time) time.Time {
	next := now.Add(u.longest)
	if end := expires(response).Add(-margin); end.Before(next) {
		next = end
	}
	if soonest := now.Add(u.shortest); next.Before(soonest) {
		next = soonest
	}
	return next
}

// backOff tells how long to wait after so many failures in a row.
func (u *ocspUpdates) backOff(row int) time.Duration {
	return min(min(retry, u.shortest)<<min(row-1, 16), u.longest)
}

func (k *renewer) get(id ocsp.ID) *renewal {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by == nil {
		k.by = make(map[string]*renewal)
		k.slots = make(chan struct{}, maxFetches)
	}
	r := k.by[string(id)]
	if r == nil {
		r = &renewal{}
		k.by[string(id)] = r
	}
	return r
}

// wake sets the timer for a moment, if it would go off later.
func (k *renewer) wake(w *stream.Worker, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if soonest := now.Add(pause); at.Before(soonest) {
		at = soonest
	}
	if k.timer != nil && now.Before(k.at) && !at.Before(k.at) {
		return
	}
	if k.timer != nil {
		k.timer.Stop()
	}
	k.at = at
	k.timer = time.AfterFunc(time.Until(at), func() { k.look(w, time.Now()) })
}

// renew fetches a response and puts it in force. It blocks for seconds.
func (k *renewer) renew(w *stream.Worker, s *status) ([]byte, error) {
	g := w.Snapshot().Global
	u := updatesOf(g)
	response, x, result, err := fetchStatus(w, u, s)
	now := time.Now()
	if err == nil {
		if err = s.put(response); err != nil {
			result = updateInsert
		}
	}
	r := k.get(s.id)
	k.mu.Lock()
	r.busy = false
	r.result, r.why = result, ""
	if err == nil {
		r.good++
		r.row = 0
		r.last = now
		r.next = u.after(response, now)
	} else {
		r.bad++
		r.row++
		r.next = now.Add(u.backOff(r.row))
		if result >= updateCheck {
			r.why = err.Error()
		}
	}
	next, good, bad, text := r.next, r.good, r.bad, r.text()
	k.mu.Unlock()
	logs.SendGlobal(w, logs.Notice, fmt.Sprintf("<OCSP-UPDATE> %s %d \"%s\" %d %d", s.certs[0].Name, result, text, bad, good))
	if result == updateHTTP {
		logs.SendGlobal(w, logs.Notice, exchange(&x))
	}
	k.wake(w, next)
	if w.Snapshot().Global != g {
		k.look(w, now) // the configuration that came into force meanwhile has not got the response yet
	}
	return response, err
}

// text words the result.
func (r *renewal) text() string {
	if r.why != "" {
		return results[r.result] + " (" + r.why + ")"
	}
	return results[r.result]
}

// fetchStatus asks the first responder that a certificate names.
func fetchStatus(w *stream.Worker, u *ocspUpdates, s *status) ([]byte, ocsp.Exchange, int, error) {
	leaf, issuer := s.pair.Leaf, s.pair.Authority()
	if len(leaf.OCSPServer) == 0 {
		return nil, ocsp.Exchange{}, updateUnknown, errors.New("the certificate names no responder")
	}
	f := ocsp.Fetcher{Worker: w, Lookup: u.names.Lookup, Proxy: u.proxy}
	if roots, err := certs.System(); err == nil {
		f.Roots = roots.Pool
	}
	response, x, err := f.Fetch(leaf.OCSPServer[0], leaf, issuer)
	switch {
	case errors.Is(err, ocsp.ErrType):
		return nil, x, updateHeader, err
	case err != nil:
		return nil, x, updateHTTP, err
	}
	if err := s.pair.CheckOCSP(response, time.Now()); err != nil {
		return nil, x, updateCheck, err
	}
	return response, x, updateDone, nil
}

// exchange words a failed exchange in the form of HTTP logs (manual 8.2.3), with
// what there is.
func exchange(x *ocsp.Exchange) string {
	status, answered := x.Status, int64(-1)
	state := "----"
	ms := x.Took.Milliseconds()
	switch {
	case status == 0:
		status, state = 503, "SC--"
	default:
		answered = ms
	}
	return fmt.Sprintf("-:- [%s] <OCSP-UPDATE> -/- 0/0/%d/%d/%d %d %d - - %s 0/0/0/0/0 0/0 {} \"%s %s HTTP/1.1\"",
		x.Began.Format("02/Jan/2006:15:04:05.000"), answered, answered, ms, status, x.Bytes, state, x.Method, x.URL)
}
