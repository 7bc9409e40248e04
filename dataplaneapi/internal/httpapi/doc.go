// Package httpapi serves the REST API: routes from the OpenAPI document, authentication, validation of every request
// against the document, and answers with the statuses of the Data Plane API v3.
//
// It owns what is HTTP. What a request means for the configuration is the business of packages resource and ladder.
package httpapi
