package resource

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Property is one property of a resource.
type Property struct {
	Name     string
	Type     string
	Enum     []string
	Duration bool
	Size     bool
	Named    bool // it names an object of the configuration: see config.ValidName
	Unit     string
	Words    map[string]string // value → how it is spelt in the file, where that differs
	Many     bool              // one line (or one option) for each item of the array
	Implies  map[string]string // what a line of this property says about another one
	Means    map[string]string // an older name: the property, and the value of it, that this one stands for
	Live     *Live
	Schema   map[string]any // JSON schema, as served
	Required []string

	line      *Line // where it stands, for a property of a section
	group     []node
	negated   []node // how "disabled" is written
	itemProps []*Property
	nested    []*Property // properties of an object whose lines are their own
	options   string
	source    string
}

// Live says how a change reaches a running proxy over its Runtime socket.
type Live struct {
	// Set are the commands that change a property; Values are those for one value of it.
	Set    []Step
	Values map[string][]Step
}

// Step is one Runtime command. "{parent_name}" is the name of the section, "{words}" a whole line from its address on,
// "{}" the value of the property, "{x}" that of another one. Expect is a regular expression for the reply, which is empty
// otherwise; a reply like Retry is worth another try. An optional step may fail.
type Step struct {
	Do       string            `yaml:"do"`
	Expect   string            `yaml:"expect"`
	Retry    string            `yaml:"retry"`
	Optional bool              `yaml:"optional"`
	When     map[string]string `yaml:"when"`
	Unless   map[string]string `yaml:"unless"`
}

// LiveLine says how a whole line comes and goes at run time.
type LiveLine struct {
	Inherit string   `yaml:"inherit"` // the line whose settings the proxy does not apply by itself
	Words   []string `yaml:"words"`   // the options that a line which is added at run time may have, by their first word
	Born    []string `yaml:"born"`    // options that say what such a line is anyway: they take back what came before them
	Create  []Step   `yaml:"create"`
	Delete  []Step   `yaml:"delete"`
}

// Parent is a place where a line resource lives.
type Parent struct {
	Section    string            `yaml:"section"`
	Path       string            `yaml:"path"`
	Operations map[string]string `yaml:"operations"`
	Still      bool              `yaml:"still"` // no Runtime command changes its lines
}

// Resource is one resource of the configuration: a section, or a kind of line in sections.
type Resource struct {
	Name     string
	Plural   string
	Title    string
	Tag      string
	Section  string // for a section resource: the word of the header
	Single   bool
	Unnamed  string // what unnamed sections are called, with a number behind
	Parents  []Parent
	Key      string
	KeyAt    bool // a line without key answers to its second word
	Ordered  bool
	List     string // what a full section calls them, if not name_list
	Filter   string // a property that lists can be filtered by
	Union    string
	Required []string
	Children []string
	Props    []*Property
	Live     *LiveLine

	line     *Line
	settings []*setting
	byFirst  map[string][]*setting
	shape    *shape
	api      *API
}

// API is all resources.
type API struct {
	Resources []*Resource
	ByName    map[string]*Resource
	sets      map[string][]*Property
	base      map[string]any
}

type description struct {
	Resource   string            `yaml:"resource"`
	Set        string            `yaml:"set"`
	Plural     string            `yaml:"plural"`
	Title      string            `yaml:"title"`
	Tag        string            `yaml:"tag"`
	Section    string            `yaml:"section"`
	Path       string            `yaml:"path"`
	Operations map[string]string `yaml:"operations"`
	Single     bool              `yaml:"single"`
	Unnamed    string            `yaml:"unnamed"`
	Parents    []Parent          `yaml:"parents"`
	Key        string            `yaml:"key"`
	KeyDefault string            `yaml:"key_default"`
	Ordered    bool              `yaml:"ordered"`
	List       string            `yaml:"list"`
	Filter     string            `yaml:"filter"`
	Union      string            `yaml:"union"`
	Use        string            `yaml:"use"`
	Options    string            `yaml:"options"`
	Tail       string            `yaml:"tail"`
	At         yaml.Node         `yaml:"at"`
	Required   []string          `yaml:"required"`
	Children   []string          `yaml:"children"`
	Properties yaml.Node         `yaml:"properties"`
	Live       *LiveLine         `yaml:"live"`
}

// Load reads the descriptions. An error is a mistake in them and names the file.
func Load(fsys fs.FS) (*API, error) {
	api := &API{ByName: map[string]*Resource{}, sets: map[string][]*Property{}}
	base, err := fs.ReadFile(fsys, "openapi.yaml")
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(base, &api.base); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	for _, dir := range []string{"sets", "resources"} {
		files, err := fs.Glob(fsys, dir+"/*.yaml")
		if err != nil {
			return nil, err
		}
		slices.Sort(files)
		for _, f := range files {
			data, err := fs.ReadFile(fsys, f)
			if err != nil {
				return nil, err
			}
			var d description
			if err := yaml.Unmarshal(data, &d); err != nil {
				return nil, fmt.Errorf("%s: %w", f, err)
			}
			if err := api.add(&d); err != nil {
				return nil, fmt.Errorf("%s: %w", path.Base(f), err)
			}
		}
	}
	return api, api.link()
}

func (api *API) add(d *description) error {
	props, err := api.properties(&d.Properties)
	if err != nil {
		return err
	}
	if d.Set != "" {
		api.sets[d.Set] = props
		return nil
	}
	r := &Resource{
		Name: d.Resource, Plural: d.Plural, Title: d.Title, Tag: d.Tag, Section: d.Section, Single: d.Single, Unnamed: d.Unnamed,
		Parents: d.Parents, Key: d.Key, KeyAt: d.KeyDefault != "", Ordered: d.Ordered, List: d.List, Filter: d.Filter, Union: d.Union,
		Required: d.Required, Children: d.Children, Props: props, Live: d.Live, api: api,
	}
	if r.Section != "" {
		r.Parents = []Parent{{Section: r.Section, Path: d.Path, Operations: d.Operations}}
		for _, p := range api.sets[d.Use] {
			if in, _ := p.Schema["in"].([]any); slices.Contains(in, any(r.Section)) {
				r.Props = append(r.Props, p)
			}
		}
	} else if r.line, err = api.newLine(&d.At, "", props, d.Options, d.Tail, d.Required); err != nil {
		return err
	}
	if r.line != nil {
		r.line.union = r.Union
	}
	api.Resources = append(api.Resources, r)
	api.ByName[r.Name] = r
	return nil
}

// properties reads a "properties" mapping, in its order.
func (api *API) properties(n *yaml.Node) ([]*Property, error) {
	var out []*Property
	for i := 0; i+1 < len(n.Content); i += 2 {
		p, err := api.property(n.Content[i].Value, n.Content[i+1])
		if err != nil {
			return nil, fmt.Errorf("property %s: %w", n.Content[i].Value, err)
		}
		out = append(out, p)
	}
	return out, nil
}

func (api *API) property(name string, n *yaml.Node) (*Property, error) {
	var d struct {
		Type       string            `yaml:"type"`
		Enum       []string          `yaml:"enum"`
		Duration   bool              `yaml:"x-duration"`
		Size       bool              `yaml:"x-size"`
		Named      bool              `yaml:"x-name"`
		Unit       string            `yaml:"x-default-unit"`
		At         yaml.Node         `yaml:"at"`
		Negated    string            `yaml:"negated"`
		Many       bool              `yaml:"many"`
		Words      map[string]string `yaml:"words"`
		Options    string            `yaml:"options"`
		Implies    map[string]string `yaml:"implies"`
		Means      map[string]string `yaml:"means"`
		Required   []string          `yaml:"required"`
		Live       yaml.Node         `yaml:"live"`
		Properties yaml.Node         `yaml:"properties"`
		Items      yaml.Node         `yaml:"items"`
	}
	if err := n.Decode(&d); err != nil {
		return nil, err
	}
	p := &Property{Name: name, Type: d.Type, Enum: d.Enum, Duration: d.Duration, Size: d.Size, Named: d.Named, Unit: d.Unit, Words: d.Words,
		Many: d.Many, Implies: d.Implies, Means: d.Means, Required: d.Required, options: d.Options}
	if err := n.Decode(&p.Schema); err != nil {
		return nil, err
	}
	var err error
	if p.Live, err = live(&d.Live); err != nil {
		return nil, err
	}
	if d.Negated != "" {
		neg, err := compile(d.Negated, name, nil)
		if err != nil {
			return nil, err
		}
		p.negated = neg.nodes
	}
	props, required := &d.Properties, d.Required
	if d.Items.Kind != 0 {
		var items struct {
			Properties yaml.Node `yaml:"properties"`
			Required   []string  `yaml:"required"`
		}
		if err := d.Items.Decode(&items); err != nil {
			return nil, err
		}
		if items.Properties.Kind != 0 {
			props, required = &items.Properties, items.Required
		} else {
			item, err := api.property("", &d.Items)
			if err != nil {
				return nil, err
			}
			p.itemProps = []*Property{item}
		}
	}
	if props.Kind != 0 {
		subs, err := api.properties(props)
		if err != nil {
			return nil, err
		}
		if d.At.Kind == 0 && d.Type == "object" {
			p.nested = subs
		} else {
			p.itemProps = subs
		}
	}
	if d.At.Kind == 0 {
		return p, nil
	}
	p.source = firstPattern(&d.At)
	whole := p.Type == "object" || p.Many && len(p.itemProps) > 0 && p.itemProps[0].Name != ""
	if whole {
		p.line, err = api.newLine(&d.At, name, p.itemProps, d.Options, "", required)
		if err == nil && !p.Many {
			p.group = p.line.alts[0].nodes
		}
	} else {
		self := *p
		p.line, err = api.newLine(&d.At, name, []*Property{&self}, "", "", []string{name})
		if err == nil {
			p.group = p.line.alts[0].nodes
		}
	}
	return p, err
}

// item is the property that an array's items are.
func (p *Property) item() *Property {
	if len(p.itemProps) == 1 && p.itemProps[0].Name == "" {
		return p.itemProps[0]
	}
	return &Property{Type: "string"}
}

// toggles tells how a property without a value in its pattern is said: by the presence of words.
func (p *Property) toggle() (on, off any, is bool) {
	switch {
	case p.Type == "boolean":
		return true, nil, true
	case slices.Equal(p.Enum, []string{"enabled", "disabled"}) && p.Words == nil:
		return "enabled", "disabled", true
	case slices.Equal(p.Enum, []string{"enabled"}):
		return "enabled", nil, true
	}
	return nil, nil, false
}

func live(n *yaml.Node) (*Live, error) {
	switch n.Kind {
	case 0:
		return nil, nil
	case yaml.SequenceNode:
		l := &Live{}
		return l, n.Decode(&l.Set)
	}
	l := &Live{}
	return l, n.Decode(&l.Values)
}

func firstPattern(n *yaml.Node) string {
	for n.Kind != yaml.ScalarNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	return n.Value
}

// newLine compiles "at": a pattern, or a list of patterns, each perhaps with constants.
func (api *API) newLine(n *yaml.Node, self string, props []*Property, options, tail string, required []string) (*Line, error) {
	l := &Line{props: props, required: required, optionSet: options}
	add := func(src string, consts map[string]any) error {
		p, err := compile(src, self, consts)
		if err == nil {
			l.alts = append(l.alts, p)
		}
		return err
	}
	switch n.Kind {
	case yaml.ScalarNode:
		if err := add(n.Value, nil); err != nil {
			return nil, err
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if item.Kind == yaml.ScalarNode {
				if err := add(item.Value, nil); err != nil {
					return nil, err
				}
				continue
			}
			var m map[string]map[string]any
			if err := item.Decode(&m); err != nil {
				return nil, err
			}
			for src, consts := range m {
				if err := add(src, consts); err != nil {
					return nil, err
				}
			}
		}
	default:
		return nil, fmt.Errorf("\"at\" is missing or not a pattern")
	}
	if tail != "" {
		t, err := compile(tail, self, nil)
		if err != nil {
			return nil, err
		}
		l.tail = t.nodes
	}
	return l, nil
}

// link resolves what refers to another file.
func (api *API) link() error {
	for _, r := range api.Resources {
		if r.line != nil {
			if err := api.linkLine(r.line); err != nil {
				return fmt.Errorf("%s: %w", r.Name, err)
			}
			r.Props = r.line.props
		} else {
			r.byFirst = map[string][]*setting{}
			if err := api.flatten(r, r.Props, nil); err != nil {
				return fmt.Errorf("%s: %w", r.Name, err)
			}
		}
		for _, c := range r.Children {
			if api.ByName[c] == nil {
				return fmt.Errorf("%s: no resource %q", r.Name, c)
			}
		}
	}
	for _, r := range api.Resources {
		r.shape = api.shape(r)
	}
	return nil
}

func (api *API) linkLine(l *Line) error {
	if l.linked {
		return nil
	}
	l.linked = true
	if l.optionSet != "" {
		set, ok := api.sets[l.optionSet]
		if !ok {
			return fmt.Errorf("no set %q", l.optionSet)
		}
		l.props = append(slices.Clone(l.props), set...)
	}
	l.fields = newFields(l.props, l.required)
	l.byFirst = map[string][]*Property{}
	// A property that no pattern of the line names, but has words of its own, is an option.
	named := map[string]bool{}
	for _, a := range l.alts {
		a.properties(func(n string, _ bool) { named[n] = true })
	}
	for _, p := range l.props {
		for name := range p.Means {
			if _, ok := l.fields.byName[name]; !ok {
				return fmt.Errorf("property %s means %q, which is none", p.Name, name)
			}
			l.older = append(l.older, p)
		}
		if p.group != nil && !named[p.Name] {
			l.options = append(l.options, p)
			if p.Type == "object" {
				if err := api.linkLine(p.line); err != nil {
					return err
				}
			}
			if p.group[0].kind == word { // "name(argument)"
				l.loose = append(l.loose, p)
				continue
			}
			for _, nodes := range [][]node{p.group, p.negated} {
				if len(nodes) == 0 {
					continue
				}
				if nodes[0].kind != literal {
					return fmt.Errorf("option %s does not begin with a word", p.Name)
				}
				for _, w := range nodes[0].words {
					if !slices.Contains(l.byFirst[w], p) {
						l.byFirst[w] = append(l.byFirst[w], p)
					}
				}
			}
		}
	}
	return nil
}

// flatten collects the lines of a section's properties, nested objects included.
func (api *API) flatten(r *Resource, props []*Property, path []string) error {
	for _, p := range props {
		here := append(slices.Clone(path), p.Name)
		if p.nested != nil {
			if err := api.flatten(r, p.nested, here); err != nil {
				return err
			}
			continue
		}
		if p.line == nil {
			continue
		}
		if err := api.linkLine(p.line); err != nil {
			return err
		}
		s := &setting{prop: p, path: here, field: strings.Join(here, ".")}
		r.settings = append(r.settings, s)
		seen := map[string]bool{}
		note := func(words []string) {
			for _, w := range words {
				if !seen[w] {
					seen[w] = true
					r.byFirst[w] = append(r.byFirst[w], s)
				}
			}
		}
		for _, a := range p.line.alts {
			note(a.first())
		}
		if len(p.negated) > 0 {
			note(p.negated[0].words)
		}
	}
	return nil
}
