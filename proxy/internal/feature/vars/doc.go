// Package vars is the words of variables (manual, 2.8): the actions "set-var",
// "set-var-fmt" and "unset-var" of rule sets and of health checks, the fetches
// "var" and "dump_all_vars", the converters "set-var" and "unset-var", the global
// keywords of the same names, the limits "tune.vars.…", and the Runtime commands
// "get var" and "set var".
//
// Variables themselves are a part of the scope that something is evaluated in:
// packages variable and stream keep them, for as long as the scope lives.
package vars
