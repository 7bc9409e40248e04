// Package resource turns the descriptions in api-spec into behaviour: it reads and writes any resource of the
// configuration file, and builds the OpenAPI document.
//
// It owns the grammar of the descriptions (see api-spec/README.md): a pattern says which words a line has, a property
// says which of them is its value. A new keyword is a new line in a description, never code here.
//
// It never touches a disk, a socket or a version: it works on a parsed config.File that the caller holds.
package resource
