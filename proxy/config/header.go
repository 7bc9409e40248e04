package config

// section begins a section and checks its header.
func (e *evaluator) section(args []string) {
	name, from, rest := header(args)
	b := &Block{Kind: args[0], Name: name, From: from, Pos: e.pos, Args: args}
	e.cur = b
	e.blocks = append(e.blocks, b)
	e.checkName(b)
	if len(rest) == 0 {
		return
	}
	if isProxy(b.Kind) && rest[0] == "from" && b.From == "" {
		e.d.Alert(e.pos, "'%s' expects the name of a defaults section after 'from'.", b.Kind)
		return
	}
	e.d.Alert(e.pos, "'%s' cannot handle unexpected argument '%s'.", b.Kind, rest[0])
}

// checkName reports a name that is missing, not wanted or badly spelt. The texts differ from section to section
// because scripts know them.
func (e *evaluator) checkName(b *Block) {
	switch b.Kind {
	case "program":
		e.d.Alert(e.pos, "the 'program' section is not supported any more (it was removed from the language in HAProxy 3.3): let a service manager run the program.")
		return
	case "global", "traces":
		if b.Name != "" {
			e.d.Alert(e.pos, "'%s' cannot handle unexpected argument '%s'.", b.Kind, b.Name)
		}
		return
	case "defaults", "cache":
		// names of defaults sections are free as long as nobody refers to them; caches take any
		if b.Name == "" && b.Kind == "cache" {
			e.d.Alert(e.pos, "'cache' expects a <name> argument")
		}
		return
	case "crt-store":
		if b.Name == "" {
			return
		}
	}
	if b.Name == "" {
		switch b.Kind {
		case "frontend", "backend", "listen":
			e.d.Alert(e.pos, "'%s' expects an <id> argument", b.Kind)
		case "userlist":
			e.alert("'userlist' expects <name> as arguments.")
		case "fcgi-app":
			e.alert("'fcgi-app' expects <name> as argument.")
		case "ring":
			e.d.Alert(e.pos, "missing ring name.")
		default:
			e.d.Alert(e.pos, "missing name for %s section.", b.Kind)
		}
		return
	}
	bad, ok := ValidName(b.Name)
	if ok {
		return
	}
	if b.Kind == "ring" {
		e.d.Alert(e.pos, "invalid ring name '%s' (character '%c' is not permitted).", b.Name, bad)
		return
	}
	e.d.Alert(e.pos, "character '%c' is not permitted in '%s' name '%s'.", bad, b.Kind, b.Name)
}
