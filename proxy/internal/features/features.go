// Package features links what the program can do: each import below is one
// feature, in its own folder, which registers its keywords, commands and fetches
// itself. To remove a feature, remove its line.
package features

import (
	_ "github.com/forebay-lb/forebay/proxy/internal/acl"
	_ "github.com/forebay-lb/forebay/proxy/internal/check"
	_ "github.com/forebay-lb/forebay/proxy/internal/logs"
	_ "github.com/forebay-lb/forebay/proxy/internal/proxyproto"
	_ "github.com/forebay-lb/forebay/proxy/internal/rule"
	_ "github.com/forebay-lb/forebay/proxy/internal/runtimeapi"
	_ "github.com/forebay-lb/forebay/proxy/internal/snapshot"
	_ "github.com/forebay-lb/forebay/proxy/internal/ssl"
	_ "github.com/forebay-lb/forebay/proxy/internal/stats"
	_ "github.com/forebay-lb/forebay/proxy/internal/uniqueid"
	_ "github.com/forebay-lb/forebay/proxy/internal/userlist"
)
