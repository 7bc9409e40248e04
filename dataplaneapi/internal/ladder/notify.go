package ladder

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Notifier posts events to a URL, in order, with retries. A receiver that is away for long loses the oldest events.
type Notifier struct {
	url    string
	log    *slog.Logger
	client *retryablehttp.Client
	queue  chan Event
	done   chan struct{}
	cancel context.CancelFunc
}

// NewNotifier starts a notifier.
func NewNotifier(url string, log *slog.Logger) *Notifier {
	c := retryablehttp.NewClient()
	c.Logger = nil
	c.RetryMax = 5
	c.RetryWaitMin, c.RetryWaitMax = 200*time.Millisecond, 10*time.Second
	c.HTTPClient.Timeout = 10 * time.Second
	ctx, cancel := context.WithCancel(context.Background())
	n := &Notifier{url: url, log: log, client: c, queue: make(chan Event, 256), done: make(chan struct{}), cancel: cancel}
	go n.run(ctx)
	return n
}

// Send queues an event and never blocks.
func (n *Notifier) Send(e Event) {
	for {
		select {
		case n.queue <- e:
			return
		default:
		}
		select {
		case <-n.queue:
			n.log.Warn("the receiver of notifications is too slow: one was dropped", "url", n.url)
		default:
		}
	}
}

// Close stops the notifier. An event that is being sent is given up.
func (n *Notifier) Close() {
	n.cancel()
	<-n.done
}

func (n *Notifier) run(ctx context.Context) {
	defer close(n.done)
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-n.queue:
			if err := n.post(ctx, e); err != nil && ctx.Err() == nil {
				n.log.Warn("a notification could not be delivered", "url", n.url, "error", err)
			}
		}
	}
}

func (n *Notifier) post(ctx context.Context, e Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, n.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := n.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return err
}
