package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	maxReply    = 64 << 20 // bytes of one reply
	dialTimeout = 3 * time.Second
	// DefaultTimeout bounds one command. "wait" and large configurations need the most.
	DefaultTimeout = 30 * time.Second
)

// ErrUnreachable says that nobody answers on the socket.
var ErrUnreachable = errors.New("the proxy's Runtime socket does not answer")

// An Error is a reply that says no.
type Error struct {
	Command string // the first words of the command
	Reply   string
}

func (e *Error) Error() string { return fmt.Sprintf("%q: %s", e.Command, e.Reply) }

// Client sends commands to one socket.
type Client struct {
	Network string // unix or tcp
	Address string
	Prefix  string // "@1 " behind a master socket
	Timeout time.Duration
}

// Do sends one command and returns its reply without the empty line at the end. payload, when not nil, follows the
// command as chapter 9.3 describes it.
func (c *Client) Do(ctx context.Context, command string, payload []byte) (string, error) {
	if strings.ContainsAny(command, "\n\r;") {
		return "", &Error{command, "the command has a line feed or a semicolon in it"}
	}
	return c.do(ctx, command, payload)
}

// do sends what may be several commands: their words are quoted.
func (c *Client) do(ctx context.Context, command string, payload []byte) (string, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, c.Network, c.Address)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	text := c.Prefix + command
	if payload != nil {
		end := terminator(payload)
		text += " <<" + end + "\n" + strings.TrimSuffix(string(payload), "\n") + "\n" + end
	}
	// A reply can come before the whole payload is sent (a refusal): read and write at the same time.
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, text+"\n")
		// A master socket answers its own commands and waits for more: say that there is no more.
		if half, ok := conn.(interface{ CloseWrite() error }); ok && err == nil {
			err = half.CloseWrite()
		}
		sent <- err
	}()
	reply, err := io.ReadAll(io.LimitReader(conn, maxReply+1))
	conn.Close()
	sendErr := <-sent
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	case len(reply) > maxReply:
		return "", fmt.Errorf("%q: the reply is longer than %d bytes", command, maxReply)
	case len(reply) == 0 && (err != nil || sendErr != nil):
		return "", fmt.Errorf("%w: %w", ErrUnreachable, errors.Join(err, sendErr))
	}
	return strings.TrimRight(string(reply), "\n"), nil
}

// terminator finds a payload terminator that is no line of the payload. The empty line is the one that every version of
// the language knows.
func terminator(payload []byte) string {
	if !strings.Contains("\n"+strings.TrimSuffix(string(payload), "\n")+"\n", "\n\n") {
		return ""
	}
	for i := 0; ; i++ {
		end := "%EOF%"
		if i > 0 {
			end = fmt.Sprintf("%%EOF%d%%", i)
		}
		if !strings.Contains("\n"+string(payload)+"\n", "\n"+end+"\n") {
			return end
		}
	}
}

// Unknown tells whether a reply says that the proxy does not know the command.
func Unknown(reply string) bool {
	return strings.HasPrefix(reply, "Unknown command") || strings.HasPrefix(reply, "Permission denied")
}
