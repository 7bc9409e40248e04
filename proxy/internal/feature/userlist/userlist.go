// Package userlist is the "userlist" section (chapter 12.2 of the manual): the
// users and groups that authentication refers to. The control plane reads the
// same section for its own users.
//
// The package checks and keeps the lists; it checks no password.
package userlist

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
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

const key = "userlist"

// Of finds a list of a configuration being loaded, nil if there is none.
func Of(l *conf.Loading, name string) *List {
	lists, _ := l.Values[key].(map[string]*List)
	return lists[name]
}

func init() {
	conf.RegisterSection(conf.SectionParser{Kind: "userlist", Keywords: []string{"group", "user"}, Parse: parse})
}

func parse(c *conf.Ctx, b *config.Block) {
	lists, _ := c.Values[key].(map[string]*List)
	if lists == nil {
		lists = map[string]*List{}
		c.Values[key] = lists
	}
	if b.Name == "" {
		c.Alert(b.Pos, "'userlist' expects <name> as arguments.")
		return
	}
	if lists[b.Name] != nil {
		c.Diags.Warn(b.Pos, "ignoring duplicated userlist '%s'.", b.Name)
		return
	}
	l := &List{Name: b.Name, Users: map[string]*User{}, Groups: map[string]bool{}}
	lists[b.Name] = l
	members := map[string][]string{} // group → users
	for _, st := range b.Statements {
		var err error
		switch st.Args[0] {
		case "group":
			err = l.group(st.Args, members)
		case "user":
			err = l.user(st.Args)
		default:
			c.Diags.UnknownKeyword(st.Pos, st.Args[0], "userlist", []string{"group", "user"})
		}
		if err != nil {
			c.Alert(st.Pos, "%v.", err)
		}
	}
	for g, users := range members {
		for _, u := range users {
			if l.Users[u] == nil {
				c.Alert(b.Pos, "userlist '%s': no such user '%s' specified in group '%s'.", l.Name, u, g)
			} else if !slices.Contains(l.Users[u].Groups, g) {
				l.Users[u].Groups = append(l.Users[u].Groups, g)
			}
		}
	}
	for _, u := range l.Users {
		for _, g := range u.Groups {
			if !l.Groups[g] {
				c.Alert(b.Pos, "userlist '%s': no such group '%s' specified in user '%s'.", l.Name, g, u.Name)
			}
		}
	}
}

func (l *List) group(args []string, members map[string][]string) error {
	if len(args) < 2 {
		return errors.New("'group' expects <name> as arguments")
	}
	name := args[1]
	if l.Groups[name] {
		return fmt.Errorf("duplicated group '%s' in userlist '%s'", name, l.Name)
	}
	l.Groups[name] = true
	if len(args) > 2 && (args[2] != "users" || len(args) != 4) {
		return fmt.Errorf("'group' only supports 'users' option, got '%s'", args[2])
	}
	if len(args) == 4 {
		members[name] = strings.Split(args[3], ",")
	}
	return nil
}

func (l *List) user(args []string) error {
	if len(args) < 2 {
		return errors.New("'user' expects <name> as arguments")
	}
	u := &User{Name: args[1]}
	if l.Users[u.Name] != nil {
		return fmt.Errorf("duplicated user '%s' in userlist '%s'", u.Name, l.Name)
	}
	l.Users[u.Name] = u
	for i := 2; i < len(args); i += 2 {
		if i+1 == len(args) {
			return fmt.Errorf("'%s' expects an argument", args[i])
		}
		switch v := args[i+1]; args[i] {
		case "password":
			if len(v) < 3 || v[0] != '$' && len(v) != 13 {
				return fmt.Errorf("the encrypted password of user '%s' is not in a form that crypt(3) has", u.Name)
			}
			u.Password = v
		case "insecure-password":
			u.Password, u.Insecure = v, true
		case "groups":
			u.Groups = strings.Split(v, ",")
		default:
			return fmt.Errorf("'user' only supports 'password', 'insecure-password' and 'groups' options, got '%s'", args[i])
		}
	}
	return nil
}
