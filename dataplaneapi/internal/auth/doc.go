// Package auth checks names and passwords of HTTP basic authentication, against a userlist of the configuration or the
// users of the program's own settings.
//
// It owns hashes and comparisons, all in constant time; it never sees a request.
package auth
