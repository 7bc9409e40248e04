module github.com/forebay-lb/forebay/api-spec

go 1.26
