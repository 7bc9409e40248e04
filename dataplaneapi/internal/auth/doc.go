// Package auth checks names and passwords of HTTP basic authentication, against a userlist of the configuration or the
// users of the program's own settings, and slows down who tries passwords.
//
// It owns hashes and comparisons, all in constant time, and how long whom has to wait; it never sees a request.
package auth
