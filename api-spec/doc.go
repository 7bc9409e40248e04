// Package apispec holds the description of the REST API: the fixed part of the OpenAPI document and one file for every
// resource of the configuration.
//
// It owns the facts: which properties a resource has, of which type, where each stands in the configuration file, and how
// it is changed in a running proxy. It holds no behaviour; package resource of dataplaneapi reads it.
package apispec

import "embed"

// Files holds openapi.yaml, files.yaml, resources/*.yaml and sets/*.yaml.
//
//go:embed openapi.yaml files.yaml resources/*.yaml sets/*.yaml
var Files embed.FS
