package ssl

import (
	"crypto/fips140"
	"encoding/base64"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
)

func init() {
	runtimeapi.Register(
		runtimeapi.Command{
			Words: "show tls-keys", Level: runtimeapi.User, Usage: "[id|*]",
			Help: "show tls keys references or dump tls ticket keys when id specified", Run: showTicketKeys,
		},
		// Who knows a key can read sessions: it takes more than HAProxy asks for.
		runtimeapi.Command{
			Words: "set ssl tls-key", Level: runtimeapi.Admin, Usage: "[id|file] <key>",
			Help: "set the next TLS key for the <id> or <file> listener to <key>", Run: setTicketKey,
		},
		runtimeapi.Command{
			Words: "show ssl providers", Level: runtimeapi.User, Help: "show loaded SSL providers", Run: showProviders,
		},
	)
}

// ticketKeys finds a file of keys by "#<id>" or by its name, nil if there is none.
func ticketKeys(c *runtimeapi.Conn, arg string) *TicketKeys {
	for _, k := range TicketKeysOf(c.Worker.Snapshot().Global) {
		if arg == k.Name || arg == "#"+strconv.Itoa(k.ID) {
			return k
		}
	}
	return nil
}

func showTicketKeys(c *runtimeapi.Conn, args []string) error {
	list := TicketKeysOf(c.Worker.Snapshot().Global)
	arg := first(args)
	if arg == "" {
		c.WriteString("# id (file)\n")
		for _, k := range list {
			if err := c.Printf("%d (%s)\n", k.ID, k.Name); err != nil {
				return err
			}
		}
		return nil
	}
	if c.Level < runtimeapi.Operator {
		return runtimeapi.Errorf("Permission denied\n")
	}
	if arg != "*" {
		k := ticketKeys(c, arg)
		if k == nil {
			return runtimeapi.Errorf("'show tls-keys' unable to locate referenced filename\n")
		}
		list = []*TicketKeys{k}
	}
	c.WriteString("# id secret\n")
	for _, k := range list {
		c.Printf("# %d (%s)\n", k.ID, k.Name)
		for i, key := range k.Keys() {
			if err := c.Printf("%d.%d %s\n", k.ID, i, base64.StdEncoding.EncodeToString(key)); err != nil {
				return err
			}
		}
	}
	return nil
}

func setTicketKey(c *runtimeapi.Conn, args []string) error {
	if len(args) < 2 || args[0] == "" || args[1] == "" {
		return runtimeapi.Errorf("'set ssl tls-key' expects a filename and the new TLS key in base64 encoding.\n")
	}
	k := ticketKeys(c, args[0])
	if k == nil {
		return runtimeapi.Errorf("'set ssl tls-key' unable to locate referenced filename\n")
	}
	if _, err := base64.StdEncoding.DecodeString(args[1]); err != nil {
		return runtimeapi.Errorf("'set ssl tls-key' received invalid base64 encoded TLS key.\n")
	}
	if err := k.Push(args[1]); err != nil {
		return runtimeapi.Errorf("'set ssl tls-key' received a key of wrong size.\n")
	}
	return c.Printf("TLS ticket key updated!\n")
}

// showProviders names what does the cryptography, in OpenSSL's terms.
func showProviders(c *runtimeapi.Conn, _ []string) error {
	name := "default"
	if fips140.Enabled() {
		name = "fips"
	}
	return c.Printf("Loaded providers : \n\t- %s\n", name)
}
