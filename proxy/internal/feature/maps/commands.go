package maps

import (
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/pattern"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// kind is what a command calls a list.
type kind struct {
	word, upper string // "acl", "ACL"
}

var (
	acls     = kind{"acl", "ACL"}
	mapLists = kind{"map", "map"}
)

func init() {
	for _, k := range []kind{acls, mapLists} {
		with := func(run func(k kind, c *runtimeapi.Conn, args []string) error) func(*runtimeapi.Conn, []string) error {
			return func(c *runtimeapi.Conn, args []string) error { return run(k, c, args) }
		}
		add := runtimeapi.Command{Words: "add acl", Usage: "[@<ver>] <acl> <pattern>", Help: "add an acl entry", Run: with(addOne)}
		show := runtimeapi.Command{Words: "show acl", Usage: "[@<ver>] <acl>", Help: "report available acls or dump an acl's contents", Run: with(show)}
		get := runtimeapi.Command{Words: "get acl", Usage: "<acl> <value>", Help: "report the patterns matching a sample for an ACL", Run: with(get)}
		if k == mapLists {
			add = runtimeapi.Command{Words: "add map", Usage: "[@<ver>] <map> <key> <val>", Help: "add a map entry (payload supported instead of key/val)", Run: with(addOne), Payload: true}
			show.Words, show.Usage, show.Help = "show map", "[@<ver>] [map]", "report available maps or dump a map's contents"
			get.Words, get.Usage, get.Help = "get map", "<map> <value>", "report the keys and values matching a sample for a map"
			runtimeapi.Register(runtimeapi.Command{Words: "set map", Level: runtimeapi.Admin, Usage: "<map> [<key>|#<ref>] <value>", Help: "modify a map entry", Run: with(set)})
		}
		list := []runtimeapi.Command{
			add, show, get,
			{Words: "clear " + k.word, Usage: "[@<ver>] <" + k.word + ">", Help: "clear the contents of this " + k.word, Run: with(clearAll)},
			{Words: "commit " + k.word, Usage: "@<ver> <" + k.word + ">", Help: "commit the " + k.upper + " at this version", Run: with(commit)},
			{Words: "del " + k.word, Usage: "<" + k.word + "> [<key>|#<ref>]", Help: "delete " + k.word + " entries matching <key>", Run: with(del)},
			{Words: "prepare " + k.word, Usage: "<" + k.word + ">", Help: "prepare a new version for atomic " + k.upper + " replacement", Run: with(prepare)},
		}
		for i := range list {
			list[i].Level = runtimeapi.Admin
		}
		runtimeapi.Register(list...)
	}
}

// lists of the configuration in force.
func lists(c *runtimeapi.Conn) *pattern.Set { return pattern.Of(c.Worker.Snapshot()) }

// named finds the list that an argument names, by "#id" or by name; nil if there is
// none.
func named(c *runtimeapi.Conn, arg string) *pattern.List {
	if id, ok := strings.CutPrefix(arg, "#"); ok {
		if n, err := strconv.Atoi(id); err == nil && n >= 0 {
			return lists(c).ByID(n)
		}
		return nil
	}
	if arg == "" {
		return nil
	}
	return lists(c).Named(arg)
}

// has tells whether the command's kind of list is one.
func (k kind) has(l *pattern.List) bool { return k == acls && l.ACL || k == mapLists && l.Map }

func (k kind) unknown() error {
	return runtimeapi.Errorf("Unknown %s identifier. Please use #<id> or <file>.\n", k.upper)
}

// list finds the list that an argument names.
func (k kind) list(c *runtimeapi.Conn, args []string) (*pattern.List, error) {
	if len(args) > 0 {
		if l := named(c, args[0]); l != nil && k.has(l) {
			return l, nil
		}
	}
	return nil, k.unknown()
}

// version takes "@version" off the arguments. What is no number is 0.
func version(args []string) (v uint32, said bool, rest []string) {
	if len(args) == 0 || !strings.HasPrefix(args[0], "@") {
		return 0, false, args
	}
	n := 0
	for _, b := range args[0][1:] {
		if b < '0' || b > '9' {
			break
		}
		n = (n*10 + int(b-'0')) & 0xffffffff
	}
	return uint32(n), true, args[1:]
}

// piece is how many entries are printed before others have their turn.
const piece = 1000

func show(k kind, c *runtimeapi.Conn, args []string) error {
	v, said, args := version(args)
	if !said && len(args) == 0 {
		c.WriteString("# id (file) description\n")
		for _, l := range lists(c).Lists {
			if !k.has(l) {
				continue
			}
			cur, next, n := l.State()
			if err := c.Printf("%d (%s) %s. curr_ver=%d next_ver=%d entry_cnt=%d\n", l.ID, l.Name, l.Text, cur, next, n); err != nil {
				return err
			}
		}
		return nil
	}
	l, err := k.list(c, args)
	if err != nil {
		return err
	}
	if !said {
		v = l.Current()
	}
	var line []byte
	for e, n := l.First(v), 1; e != nil; e, n = e.Next(), n+1 {
		line = append(strconv.AppendUint(append(line[:0], "0x"...), e.ID(), 16), ' ')
		line = append(line, e.Key...)
		if l.Pairs {
			line = append(append(line, ' '), e.Value()...)
		}
		if _, err := c.Write(append(line, '\n')); err != nil {
			return err
		}
		if n%piece == 0 && c.R.Yield() != nil {
			return nil
		}
	}
	return nil
}

func get(k kind, c *runtimeapi.Conn, args []string) error {
	if len(args) < 2 {
		return runtimeapi.Errorf("Missing %s identifier and/or key.\n", k.upper)
	}
	l, err := k.list(c, args)
	if err != nil {
		return err
	}
	found, key := "match", "pattern"
	if k == mapLists {
		found, key = "found", "key"
	}
	v := &sample.Value{Type: sample.Str, Bytes: []byte(args[1])}
	for _, m := range l.Matchers {
		sensitive := "sensitive"
		if m.Fold {
			sensitive = "insensitive"
		}
		c.Printf("type=%s, case=%s, %s=", m.Method, sensitive, found)
		e := m.Find(v)
		switch {
		case m.Method == pattern.Found || m.Method == pattern.Bool && m.Match(v):
			c.Printf("yes, idx=list, %s=unknown", key)
		case e == nil:
			c.WriteString("no")
		default:
			idx := "list"
			if m.Method.InTree(m.Fold) {
				idx = "tree"
			}
			c.Printf("yes, idx=%s, %s=\"%s\"", idx, key, e.Key)
			switch {
			case k == acls:
			case m.Out == pattern.Nothing:
				c.WriteString(", value=none")
			default:
				c.Printf(", value=\"%s\", type=\"%s\"", e.Value(), typeOf(m.Out, e.Value()))
			}
		}
		if _, err := c.WriteString("\n"); err != nil {
			return err
		}
	}
	return nil
}

// typeOf names what a map makes of a value.
func typeOf(out pattern.Out, value string) string {
	switch {
	case out == pattern.OutInt:
		return "sint"
	case out == pattern.OutIP && strings.Contains(value, ":"):
		return "ipv6"
	case out == pattern.OutIP:
		return "ipv4"
	}
	return "str"
}

func addOne(k kind, c *runtimeapi.Conn, args []string) error {
	v, said, args := version(args)
	switch {
	case k == acls && len(args) < 2:
		return runtimeapi.Errorf("'add acl' expects two parameters: ACL identifier and pattern.\n")
	case k == mapLists && len(args) < 3 && (len(args) != 1 || c.Payload == ""):
		return runtimeapi.Errorf("'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload\n")
	}
	l, err := k.list(c, args)
	if err != nil {
		return err
	}
	if l.Pairs && k == acls {
		return runtimeapi.Errorf("This ACL is shared with a map containing samples. You must use the command 'add map' to add values.\n")
	}
	put := func(key, value string) error {
		at := v
		if !said {
			at = l.Current()
		}
		switch err := l.Append(at, strings.Clone(key), strings.Clone(value)); err {
		case nil:
			return nil
		case pattern.ErrFuture:
			return runtimeapi.Errorf("Version number in the future, please use 'prepare %s' before.\n", k.word)
		default:
			return runtimeapi.Errorf("%s.\n", err)
		}
	}
	switch {
	case k == acls:
		return put(args[1], "")
	case len(args) >= 3:
		return put(args[1], args[2])
	}
	// A payload may be long: others go on meanwhile.
	stream.Await(c.R, func() {
		text := c.Payload
		for line := range strings.Lines(text) {
			line = strings.TrimRight(strings.TrimLeft(line, " \t\r\n"), "\r\n")
			if line == "" {
				continue
			}
			key, value, _ := strings.Cut(line, " ")
			if i := strings.IndexByte(key, '\t'); i >= 0 {
				key, value = line[:i], line[i+1:]
			}
			if value = strings.Trim(value, " \t"); value == "" {
				err = runtimeapi.Errorf("Missing value for key '%s'.\n", key)
				return
			}
			if err = put(key, value); err != nil {
				return
			}
		}
	})
	return err
}

// entry finds what "#ref" names, aside from the reactor since it takes long.
func entry(c *runtimeapi.Conn, l *pattern.List, ref string) (e *pattern.Entry) {
	id, err := strconv.ParseUint(ref, 0, 64)
	if err != nil {
		return nil
	}
	stream.Await(c.R, func() { e = l.ByID(id) })
	return e
}

func set(_ kind, c *runtimeapi.Conn, args []string) error {
	if len(args) < 3 {
		return runtimeapi.Errorf("'set map' expects three parameters: map identifier, key and value.\n")
	}
	l := named(c, args[0])
	if l == nil {
		return mapLists.unknown()
	}
	missing := runtimeapi.Errorf("entry not found.\n")
	if !l.Pairs {
		return missing
	}
	var err error
	if ref, ok := strings.CutPrefix(args[1], "#"); ok {
		e := entry(c, l, ref)
		if e == nil {
			return missing
		}
		if err = l.SetEntry(e, strings.Clone(args[2])); err == pattern.ErrMissing {
			return missing
		}
	} else {
		var n int
		if n, err = l.Set(args[1], strings.Clone(args[2])); n == 0 && err == nil {
			return missing
		}
	}
	if err != nil {
		return runtimeapi.Errorf("%s.\n", err)
	}
	return nil
}

func del(k kind, c *runtimeapi.Conn, args []string) error {
	if len(args) < 2 {
		return runtimeapi.Errorf("This command expects two parameters: %s identifier and key.\n", k.upper)
	}
	l := named(c, args[0])
	if l == nil || !k.has(l) {
		return mapLists.unknown() // as HAProxy, of ACLs too
	}
	done := false
	if ref, ok := strings.CutPrefix(args[1], "#"); ok {
		e := entry(c, l, ref)
		done = e != nil && l.DeleteEntry(e) == nil
	} else {
		done = l.Delete(args[1]) > 0
	}
	if !done {
		return runtimeapi.Errorf("Key not found.\n")
	}
	return nil
}

func clearAll(k kind, c *runtimeapi.Conn, args []string) error {
	v, said, args := version(args)
	if len(args) == 0 {
		return runtimeapi.Errorf("Missing %s identifier.\n", k.upper)
	}
	l, err := k.list(c, args)
	if err != nil {
		return err
	}
	if !said {
		v = l.Current()
	}
	l.Clear(v)
	return nil
}

func prepare(k kind, c *runtimeapi.Conn, args []string) error {
	l, err := k.list(c, args)
	if err != nil {
		return err
	}
	return c.Message(6, "New version created: %d\n", l.Prepare())
}

func commit(k kind, c *runtimeapi.Conn, args []string) error {
	v, said, args := version(args)
	if !said {
		return runtimeapi.Errorf("Missing version number.\n")
	}
	l, err := k.list(c, args)
	if err != nil {
		return err
	}
	if l.Commit(v) != nil {
		return runtimeapi.Errorf("Version number out of range.\n")
	}
	return nil
}
