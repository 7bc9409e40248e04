// Package settings reads the command line and the YAML file of dataplaneapi.
//
// It owns the names of flags and keys (those of HAProxy's Data Plane API where both have a thing) and their defaults; it
// never acts on them.
package settings
