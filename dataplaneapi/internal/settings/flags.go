package settings

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	flags "github.com/jessevdk/go-flags"
)

// ErrHelp says that the command line asked for help, which was printed.
var ErrHelp = errors.New("help was asked for")

// A setting of the original that this program knows and has no use for.
type needless struct {
	long  string // the flag, empty if there is none
	short rune
	key   string // in the file, empty if it is none of it
	bool  bool
	why   string
}

const (
	noCluster = "this program is no member of a cluster"
	noSPOE    = "SPOE files are not in the storage"
)

var without = []needless{
	{"dataplane-storage-dir", 0, "dataplane_storage_dir", false, "nothing is kept but transactions, backups and the state, in transaction_dir"},
	{"spoe-dir", 0, "spoe_dir", false, noSPOE},
	{"spoe-transaction-dir", 0, "spoe_transaction_dir", false, noSPOE},
	{"restart-cmd", 's', "restart_cmd", false, "every change is applied without a restart"},
	{"status-cmd", 0, "status_cmd", false, "the proxy is asked over its sockets whether it runs"},
	{"cluster-tls-dir", 0, "cluster_tls_dir", false, noCluster},
	{"fid", 0, "fid", false, noCluster},
	{"", 0, "node_id_file", false, noCluster},
	{"", 0, "cluster", false, noCluster},
	{"", 0, "mode", false, noCluster},
	{"", 0, "status", false, noCluster},
	{"", 0, "advertised", false, noCluster},
	{"api-address", 0, "api_address", false, noCluster},
	{"api-port", 0, "api_port", false, noCluster},
	{"", 0, "service_discovery", false, "servers are not found by services of others"},
	{"debug-socket-path", 0, "debug_socket_path", false, "there is no socket for debugging; log_level debug tells what happens"},
	{"preferred-time-suffix", 0, "preferred_time_suffix", false, "times are written with the largest unit that says them exactly"},
	{"delayed-start-max", 0, "delayed_start_max", false, "a start does not wait for the proxy"},
	{"delayed-start-tick", 0, "delayed_start_tick", false, "a start does not wait for the proxy"},
	{"apache-common-log-format", 0, "acl_format", false, "the log of requests has keys and values"},
	{"syslog-msgid", 0, "syslog_msgid", false, "the messages are those of RFC 3164, which have none"},
	{"syslog-priority", 0, "syslog_priority", false, "the level of a message is its priority"},
}

// needlessKey finds a key of the file that has no use.
func needlessKey(key string) (why string, known bool) {
	for _, n := range without {
		if n.key == key {
			return n.why, true
		}
	}
	return "", false
}

// parser is the command line: a structure with one field for each flag, and where its value goes.
type parser struct {
	*flags.Parser
	fields []reflect.StructField
	to     []reflect.Value
	values reflect.Value
	log    LogTarget
}

// add adds a flag whose value goes where data points to.
func (p *parser) add(data any, short rune, long, value, text string) {
	tag := ""
	for _, kv := range [][2]string{{"short", strings.Trim(string(short), "\x00")}, {"long", long}, {"value-name", value}, {"description", text}} {
		if kv[1] != "" {
			tag += kv[0] + ":" + strconv.Quote(kv[1]) + " "
		}
	}
	to := reflect.ValueOf(data).Elem()
	p.to = append(p.to, to)
	p.fields = append(p.fields, reflect.StructField{Name: fmt.Sprint("F", len(p.fields)), Type: to.Type(), Tag: reflect.StructTag(tag)})
}

// newParser makes the command line: the flags of the original, and our own.
func newParser(s *Settings, file *string) *parser {
	p := &parser{Parser: flags.NewNamedParser("dataplaneapi", flags.HelpFlag|flags.PassDoubleDash)}
	add := p.add
	add(file, 'f', "", "file", "settings, YAML")
	add(&s.API.Scheme, 0, "scheme", "scheme", "what to serve: http, https, unix; may be given more than once")
	add(&s.API.Host, 0, "host", "address", "where http listens")
	add(&s.API.Port, 0, "port", "port", "where http listens")
	add(&s.API.SocketPath, 0, "socket-path", "file", "the socket of scheme unix")
	add(&s.API.ListenLimit, 0, "listen-limit", "number", "most connections at the same time")
	add(&s.API.KeepAlive, 0, "keep-alive", "time", "between probes of TCP; 0 for none")
	add(&s.API.ReadTimeout, 0, "read-timeout", "time", "longest time to read a request")
	add(&s.API.WriteTimeout, 0, "write-timeout", "time", "longest time to answer a request")
	add(&s.API.Cleanup, 0, "cleanup-timeout", "time", "longest time that a connection is idle")
	add(&s.API.Graceful, 0, "graceful-timeout", "time", "longest time that requests under way have at the end")
	add(&s.API.MaxHeader, 0, "max-header-size", "size", "of a request")
	add(&s.API.MaxBody, 0, "max-body-size", "size", "of a request; 0 for the bounds of each operation")
	t := &s.API.TLS
	add(&t.Host, 0, "tls-host", "address", "where https listens")
	add(&t.Port, 0, "tls-port", "port", "where https listens")
	add(&t.Certificate, 0, "tls-certificate", "file", "for https")
	add(&t.Key, 0, "tls-key", "file", "for https")
	add(&t.CA, 0, "tls-ca", "file", "authorities of clients, which need a certificate then")
	add(&t.ListenLimit, 0, "tls-listen-limit", "number", "as listen-limit, for https")
	add(&t.KeepAlive, 0, "tls-keep-alive", "time", "as keep-alive, for https")
	add(&t.ReadTimeout, 0, "tls-read-timeout", "time", "as read-timeout, for https")
	add(&t.WriteTimeout, 0, "tls-write-timeout", "time", "as write-timeout, for https")
	add(&s.API.PIDFile, 'P', "pid-file", "file", "for the process id")
	add(&s.API.UID, 0, "uid", "number", "user to run as")
	add(&s.API.GID, 0, "gid", "number", "group to run as")
	add(&s.API.DisableInotify, 0, "disable-inotify", "", "do not watch the configuration file; a change is seen by the next request")
	add(&s.API.ShowSystemInfo, 'i', "show-system-info", "", "show the machine in /v3/info")
	add(&s.Name, 0, "name", "name", "of this program, in the log")
	add(&s.API.Userlist.Name, 'u', "userlist", "name", "userlist of the configuration whose users may use the API")
	add(&s.API.Userlist.File, 0, "userlist-file", "file", "another file with the userlist")
	add(&s.API.Transaction.Dir, 't', "transaction-dir", "folder", "transactions, backups and the state")
	add(&s.API.Transaction.Backups, 'n', "backups-number", "number", "old versions of the configuration to keep")
	add(&s.API.Transaction.BackupsDir, 0, "backups-dir", "folder", "another folder for old versions")
	add(&s.API.Transaction.MaxOpen, 0, "max-open-transactions", "number", "at the same time")
	add(&s.API.Resources.SSLCerts, 0, "ssl-certs-dir", "folder", "certificates of the storage")
	add(&s.API.Resources.CrtLists, 0, "ssl-crt-lists-dir", "folder", "crt-lists of the storage")
	add(&s.API.Resources.Maps, 'p', "maps-dir", "folder", "maps of the storage")
	add(&s.API.Resources.General, 0, "general-storage-dir", "folder", "other files of the storage")
	add(&s.API.Resources.UpdateMaps, 0, "update-map-files", "", "write what changed of maps in the proxy to their files")
	add(&s.API.Resources.UpdateMapsPeriod, 0, "update-map-files-period", "seconds", "between two looks at the maps in the proxy")
	add(&s.Proxy.ConfigFile, 'c', "config-file", "file", "the proxy's configuration")
	add(&s.Proxy.Binary, 'b', "haproxy-bin", "program", "the proxy, which checks configurations")
	add(&s.Proxy.MasterSocket, 'm', "master-runtime", "address", "master socket")
	add(&s.Proxy.MasterWorker, 0, "master-worker-mode", "", "run by the proxy's master, which says where its socket is")
	add(&s.Proxy.RuntimeSocket, 0, "runtime-socket", "address", "Runtime socket, when not from the configuration")
	r := &s.Proxy.Reload
	add(&r.Delay, 'd', "reload-delay", "seconds", "to collect changes before a reload")
	add(&r.Cmd, 'r', "reload-cmd", "command", "reloads the proxy, instead of the master socket")
	add(&r.Strategy, 0, "reload-strategy", "custom|systemd|s6", "how a reload without reload-cmd is done")
	add(&r.Service, 0, "service", "name", "of the proxy, for systemd and s6")
	add(&r.ValidateCmd, 0, "validate-cmd", "command", "checks a configuration; {file} stands for it")
	add(&r.FilesBefore, 0, "validate-files-before", "file", "of the proxy, in front of its configuration; may be given more than once")
	add(&r.FilesAfter, 0, "validate-files-after", "file", "of the proxy, behind its configuration; may be given more than once")
	add(&r.Retention, 0, "reload-retention", "days", "to remember reloads")
	add(&r.NotifyURL, 0, "notify-url", "URL", "changes and reloads are posted to")
	add(&p.log.To, 0, "log-to", "stdout|stderr|file|syslog", "the log, instead of log_targets of the file")
	add(&p.log.File, 0, "log-file", "file", "of log-to file")
	add(&p.log.Level, 0, "log-level", "level", "trace, debug, info, warning or error")
	add(&p.log.Format, 0, "log-format", "text|json", "of the log")
	add(&p.log.SyslogAddress, 0, "syslog-address", "address", "of log-to syslog; empty for the machine's own")
	add(&p.log.SyslogPort, 0, "syslog-port", "port", "of log-to syslog")
	add(&p.log.SyslogProtocol, 0, "syslog-protocol", "protocol", "tcp, udp or unixgram")
	add(&p.log.SyslogTag, 0, "syslog-tag", "tag", "of log-to syslog")
	add(&p.log.SyslogLevel, 0, "syslog-level", "level", "as log-level, for log-to syslog")
	add(&p.log.SyslogFacility, 0, "syslog-facility", "facility", "of log-to syslog")
	add(&s.ShowVersion, 'v', "version", "", "print the version and exit")
	for _, n := range without {
		if n.long == "" {
			continue
		}
		var data any = new(string)
		value := "value"
		if n.bool {
			data, value = new(bool), ""
		}
		add(data, n.short, n.long, value, "no effect: "+n.why)
	}
	p.values = reflect.New(reflect.StructOf(p.fields))
	for i, to := range p.to {
		p.values.Elem().Field(i).Set(to)
	}
	if _, err := p.AddGroup("Options", "", p.values.Interface()); err != nil {
		panic(err) // a flag twice
	}
	return p
}

// parse reads the command line into the settings.
func (p *parser) parse(s *Settings, args []string, out io.Writer) error {
	rest, err := p.ParseArgs(p.doubled(args))
	var fe *flags.Error
	switch {
	case errors.As(err, &fe) && fe.Type == flags.ErrHelp:
		fmt.Fprintln(out, fe.Message)
		return ErrHelp
	case err != nil:
		return err
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	for i, to := range p.to {
		to.Set(p.values.Elem().Field(i))
	}
	if p.log != (LogTarget{}) {
		s.LogTargets = []LogTarget{p.log}
	}
	for _, n := range without {
		if o := p.FindOptionByLongName(n.long); n.long != "" && o != nil && o.IsSet() {
			s.warn("--%s has no effect: %s", n.long, n.why)
		}
	}
	return nil
}

// doubled gives long flags that are written with one dash the second one. "-fid" is "-f id".
func (p *parser) doubled(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a
		if a == "--" {
			copy(out[i:], args[i:])
			break
		}
		if len(a) > 3 && a[0] == '-' && a[1] != '-' {
			name, _, _ := strings.Cut(a[1:], "=")
			if name != "fid" && p.FindOptionByLongName(name) != nil {
				out[i] = "-" + a
			}
		}
	}
	return out
}
