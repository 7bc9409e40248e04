package variable

import (
	"fmt"
	"strings"
	"sync"
)

// Scope is what a variable lives as long as.
type Scope uint8

// Scopes, as the manual names them. Parent stands for those of a parent stream,
// which there is none of yet: nothing is ever found there.
const (
	Proc Scope = iota
	Sess
	Txn
	Req
	Res
	Check
	Parent
)

var scopes = map[string]Scope{
	"proc": Proc, "sess": Sess, "txn": Txn, "req": Req, "res": Res, "check": Check,
	"psess": Parent, "ptxn": Parent, "preq": Parent, "pres": Parent,
}

// Name is the name of a variable.
type Name struct {
	Scope Scope
	id    int32
	// Text is the name as it was written, with the scope.
	Text string
}

// ScopeOf gives a scope by its name.
func ScopeOf(word string) (Scope, bool) {
	s, ok := scopes[word]
	return s, ok
}

// names are all names that were ever read, by number and the other way round.
var names = struct {
	sync.Mutex
	ids  map[string]int32
	list []Name
}{ids: map[string]int32{}}

// byID gives a name by its number.
func byID(id int32) Name {
	names.Lock()
	defer names.Unlock()
	return names.list[id]
}

// Parse reads a name.
func Parse(text string) (Name, error) {
	word, rest, _ := strings.Cut(text, ".")
	scope, ok := scopes[word]
	if !ok || rest == "" {
		return Name{}, fmt.Errorf("invalid variable name '%s'. A variable name must start with its scope. The scope can be 'proc', '(p)sess', '(p)txn', '(p)req', '(p)res' or 'check'", text)
	}
	if i := strings.IndexFunc(rest, foreign); i >= 0 {
		return Name{}, fmt.Errorf("invalid syntax at char '%s'", rest[i:])
	}
	names.Lock()
	defer names.Unlock()
	id, ok := names.ids[text]
	if !ok {
		id = int32(len(names.list))
		text = strings.Clone(text)
		names.ids[text] = id
		names.list = append(names.list, Name{scope, id, text})
	}
	return names.list[id], nil
}

// foreign tells what no name has.
func foreign(c rune) bool {
	return c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}
