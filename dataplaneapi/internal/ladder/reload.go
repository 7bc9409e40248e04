package ladder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
)

// The states of a reload.
const (
	ReloadInProgress = "in_progress"
	ReloadSucceeded  = "succeeded"
	ReloadFailed     = "failed"
)

// maxReloads bounds how many reloads are remembered.
const maxReloads = 1000

// Reload is one reload, as the API shows it.
type Reload struct {
	ID        string `json:"id"`
	Timestamp int64  `json:"reload_timestamp,omitempty"` // seconds
	Response  string `json:"response,omitempty"`
	Status    string `json:"status"`
}

// Reloads returns the reloads that are remembered, oldest first.
func (l *Ladder) Reloads() []Reload {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Reload, len(l.reloads))
	for i, r := range l.reloads {
		out[i] = *r
	}
	return out
}

func (l *Ladder) canReload() bool { return len(l.ReloadCmd) > 0 || l.MasterSocket != "" }

func (l *Ladder) reloadPending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending != nil
}

// schedule joins the reload that is waiting, or sets one up after the delay. It returns its identifier. When the reload
// fails, the file goes back to old, what it was before the first change that waits; nil leaves it.
func (l *Ladder) schedule(old, text []byte) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending == nil {
		l.undo = old
		l.wait(l.newReload())
	} else {
		if old == nil {
			old = text // as it was: another file has changed
		}
		if !bytes.Equal(old, l.wrote) {
			l.undo = nil // somebody else changed the file meanwhile: going back would undo that as well
		}
	}
	l.wrote = text
	return l.pending.ID
}

// wait has a reload done after the delay. It needs l.mu.
func (l *Ladder) wait(r *Reload) {
	l.pending = r
	l.running.Add(1)
	l.timer = time.AfterFunc(l.ReloadDelay, l.fire)
}

// newReload needs l.mu.
func (l *Ladder) newReload() *Reload {
	day := time.Now().UTC().Format(time.DateOnly)
	if day != l.day {
		if l.day == "" {
			// A program that starts again does not give an identifier twice.
			now := time.Now().UTC()
			l.count = now.Hour()*3600 + now.Minute()*60 + now.Second()
		} else {
			l.count = 0
		}
		l.day = day
	}
	l.count++
	r := &Reload{ID: fmt.Sprintf("%s-%d", day, l.count), Status: ReloadInProgress}
	l.reloads = append(l.reloads, r)
	for len(l.reloads) > maxReloads || len(l.reloads) > 1 && l.expired(l.reloads[0]) {
		l.reloads = slices.Delete(l.reloads, 0, 1)
	}
	return r
}

func (l *Ladder) expired(r *Reload) bool {
	return r.Status != ReloadInProgress && l.Retention > 0 && time.Since(time.Unix(r.Timestamp, 0)) > l.Retention
}

// reloadNow reloads the proxy without delay.
func (l *Ladder) reloadNow(ctx context.Context) error {
	r, waited := l.start()
	err := l.finish(ctx, r)
	if err != nil && waited {
		l.waitAgain(r)
	}
	return err
}

// start begins a reload at once. One that is waiting is part of it.
func (l *Ladder) start() (r *Reload, waited bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.pending; r != nil && l.timer.Stop() {
		l.pending, l.timer = nil, nil
		l.running.Done()
		return r, true
	}
	return l.newReload(), false
}

// waitAgain has a reload that waited, and failed with a change that is taken back,
// wait again: the changes before that one still want it.
func (l *Ladder) waitAgain(r *Reload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed { // else the next start sees what the proxy lacks
		r.Status, r.Response, r.Timestamp = ReloadInProgress, "", 0
		l.wait(r)
	}
}

// fire runs the waiting reload.
func (l *Ladder) fire() {
	defer l.running.Done()
	l.change.Lock()
	defer l.change.Unlock()
	l.mu.Lock()
	r, undo, wrote := l.pending, l.undo, l.wrote
	l.pending, l.timer = nil, nil
	l.mu.Unlock()
	if r == nil {
		return
	}
	text, version, err := l.Store.Text()
	if err == nil {
		if err = l.finish(context.Background(), r); err == nil {
			if err := l.applied(text); err != nil {
				l.Log.Error("noting that the proxy took the configuration over", "error", err)
			}
			l.notify(Event{Event: "reloaded", Version: version, ReloadID: r.ID, How: "reload"})
			return
		}
	}
	l.Log.Error("the reload failed", "reload", r.ID, "error", err)
	l.notify(Event{Event: "failed", Version: version, ReloadID: r.ID, Message: err.Error()})
	if undo == nil || !bytes.Equal(text, wrote) {
		l.Log.Error("the configuration file is left as it is: it is not what this program wrote")
		return
	}
	// The file goes back, with a version of its own: others have seen this one.
	if err := l.Store.Write(version, store.WithVersion(undo, version+1)); err != nil {
		l.Log.Error("the configuration file could not be restored", "error", err)
		return
	}
	if same, _ := l.Store.Applied(undo); same {
		if err := l.applied(store.WithVersion(undo, version+1)); err != nil {
			l.Log.Error("noting the restored configuration", "error", err)
		}
	}
}

// finish reloads the proxy and notes how it went.
func (l *Ladder) finish(ctx context.Context, r *Reload) error {
	answer, err := l.reload(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Timestamp = time.Now().Unix()
	r.Status, r.Response = ReloadSucceeded, answer
	if err != nil {
		r.Status, r.Response = ReloadFailed, err.Error()
	}
	return err
}

func (l *Ladder) reload(ctx context.Context) (string, error) {
	if len(l.ReloadCmd) > 0 {
		out, err := l.run(ctx, l.ReloadCmd)
		out = strings.TrimSpace(out)
		if err != nil {
			return "", fmt.Errorf("%s: %w: %s", l.ReloadCmd[0], err, out)
		}
		if strings.HasPrefix(out, "Success=0") { // a command that asks the master socket and ends well whatever it says
			return "", errors.New(out)
		}
		return out, nil
	}
	if l.MasterSocket == "" {
		return "", errors.New("neither reload_cmd nor master_runtime is configured")
	}
	c := runtime.At(l.MasterSocket)
	if c == nil {
		return "", fmt.Errorf("master_runtime %q is not an address to connect to", l.MasterSocket)
	}
	before, err := worker(ctx, c)
	if err != nil {
		return "", err
	}
	reply, err := c.Do(ctx, "reload", nil)
	if strings.HasPrefix(reply, "Success=1") {
		return reply, nil
	}
	if strings.HasPrefix(reply, "Success=0") {
		_, text, _ := strings.Cut(reply, "--")
		return "", errors.New(strings.TrimSpace(text))
	}
	if err != nil && !errors.Is(err, runtime.ErrUnreachable) || reply != "" {
		return "", errors.Join(err, errors.New(reply))
	}
	// An older master closes the connection and says nothing: a new worker is the answer.
	ctx, cancel := context.WithTimeout(ctx, l.CommandTime)
	defer cancel()
	for {
		if now, err := worker(ctx, c); err == nil && now != before {
			if now == "" {
				return "", errors.New("the master did not get a new worker to run")
			}
			return "worker " + now, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no new worker: %w", ctx.Err())
		case <-time.After(retryEvery):
		}
	}
}

// masterAnswers tells whether there is a master process to talk to.
func (l *Ladder) masterAnswers(ctx context.Context) bool {
	if c := runtime.At(l.MasterSocket); c != nil {
		_, err := worker(ctx, c)
		return err == nil
	}
	return false
}

var workerLine = regexp.MustCompile(`(?ms)^# workers\n(\d+)`)

// worker returns the process id of the current worker, empty when there is none.
func worker(ctx context.Context, c *runtime.Client) (string, error) {
	reply, err := c.Do(ctx, "show proc", nil)
	if err != nil {
		return "", err
	}
	if m := workerLine.FindStringSubmatch(reply); m != nil {
		return m[1], nil
	}
	return "", nil
}
