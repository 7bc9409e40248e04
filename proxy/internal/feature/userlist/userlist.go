// Package userlist is the "userlist" section (chapter 12.2 of the manual): the
// users and groups that authentication refers to. The control plane reads the
// same section for its own users.
//
// The package checks and keeps the lists; it checks no password.
package userlist

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
)

// User of a list.
type User struct {
	Name     string
	Password string
	// Insecure tells that Password is in clear; else it is a crypt(3) hash.
	Insecure bool
	Groups   []string
}

// List is one section.
type List struct {
	Name   string
	Users  map[string]*User
	Groups map[string]bool
}

// lists are those of a configuration, by name.
var lists = conf.NewValue[map[string]*List]()

// Of finds a list of a configuration being loaded, nil if there is none.
func Of(l *conf.Loading, name string) *List {
	if l.AtRunTime() {
		return nil
	}
	return (*lists.Of(l))[name]
}

func init() {
	conf.RegisterSection(conf.Section[section]{
		Kind:  "userlist",
		Begin: begin,
		Keywords: []conf.SectionKeyword[section]{
			{Name: "group", Max: -1, Parse: func(c *conf.Ctx, s *section) error { return s.group(c.Args, s.members) }},
			{Name: "user", Max: -1, Parse: func(c *conf.Ctx, s *section) error { return s.user(c.Args) }},
		},
		End: end,
	})
}

// section is a list that is being read.
type section struct {
	*List
	members map[string][]string // group → users
}

func begin(c *conf.Ctx, name string) (*section, error) {
	all := lists.Of(c.Loading)
	if *all == nil {
		*all = map[string]*List{}
	}
	if name == "" {
		return nil, conf.Predicatef("expects <name> as arguments.")
	}
	if (*all)[name] != nil {
		c.Warn("ignoring duplicated userlist '%s'.", name)
		return nil, nil
	}
	l := &List{Name: name, Users: map[string]*User{}, Groups: map[string]bool{}}
	(*all)[name] = l
	return &section{l, map[string][]string{}}, nil
}

// end looks at who belongs to which group.
func end(c *conf.Ctx, l *section) error {
	for g, users := range l.members {
		for _, u := range users {
			if l.Users[u] == nil {
				c.Alert(c.Pos, "userlist '%s': no such user '%s' specified in group '%s'.", l.Name, u, g)
			} else if !slices.Contains(l.Users[u].Groups, g) {
				l.Users[u].Groups = append(l.Users[u].Groups, g)
			}
		}
	}
	for _, u := range l.Users {
		for _, g := range u.Groups {
			if !l.Groups[g] {
				c.Alert(c.Pos, "userlist '%s': no such group '%s' specified in user '%s'.", l.Name, g, u.Name)
			}
		}
	}
	return nil
}

func (l *List) group(args []string, members map[string][]string) error {
	if len(args) == 0 {
		return conf.Predicatef("expects <name> as arguments.")
	}
	name := args[0]
	if l.Groups[name] {
		return fmt.Errorf("duplicated group '%s' in userlist '%s'.", name, l.Name)
	}
	l.Groups[name] = true
	if len(args) > 1 && (args[1] != "users" || len(args) != 3) {
		return conf.Predicatef("only supports 'users' option, got '%s'.", args[1])
	}
	if len(args) == 3 {
		members[name] = strings.Split(args[2], ",")
	}
	return nil
}

func (l *List) user(args []string) error {
	if len(args) == 0 {
		return conf.Predicatef("expects <name> as arguments.")
	}
	u := &User{Name: args[0]}
	if l.Users[u.Name] != nil {
		return fmt.Errorf("duplicated user '%s' in userlist '%s'.", u.Name, l.Name)
	}
	l.Users[u.Name] = u
	for i := 1; i < len(args); i += 2 {
		if i+1 == len(args) {
			return conf.About(args[i], conf.Predicatef("expects an argument."))
		}
		switch v := args[i+1]; args[i] {
		case "password":
			if len(v) < 3 || v[0] != '$' && len(v) != 13 {
				return fmt.Errorf("the encrypted password of user '%s' is not in a form that crypt(3) has.", u.Name)
			}
			u.Password = v
		case "insecure-password":
			u.Password, u.Insecure = v, true
		case "groups":
			u.Groups = strings.Split(v, ",")
		default:
			return conf.Predicatef("only supports 'password', 'insecure-password' and 'groups' options, got '%s'.", args[i])
		}
	}
	return nil
}
