module github.com/forebay-lb/forebay/dataplaneapi

go 1.26.0

require (
	github.com/forebay-lb/forebay/api-spec v0.0.0
	github.com/forebay-lb/forebay/proxy v0.0.0
)

require (
	github.com/GehirnInc/crypt v0.0.0-20230320061759-8cc1b52080c5 // indirect
	github.com/fsnotify/fsnotify v1.10.1 // indirect
	github.com/getkin/kin-openapi v0.152.0 // indirect
	github.com/go-chi/chi/v5 v5.5.0 // indirect
	github.com/google/renameio/v2 v2.0.2 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.8 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/forebay-lb/forebay/proxy => ../proxy

replace github.com/forebay-lb/forebay/api-spec => ../api-spec
