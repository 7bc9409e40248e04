// Package feature links what the program can do: each import below is one
// feature, in its own folder, which registers its keywords, commands and fetches
// itself. To remove a feature, remove its line.
package feature

import (
	_ "github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	_ "github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/acl"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/balance"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/bwlim"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/capture"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/check"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/compression"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/cookie"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/logs"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/maps"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/payload"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/priority"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/promex"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/proxyproto"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/ring"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/rule"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/stats"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/statspage"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/uniqueid"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/userlist"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/vars"
)
