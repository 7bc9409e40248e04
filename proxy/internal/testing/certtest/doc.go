// Package certtest makes certificates for tests: authorities, leaves of all
// kinds of keys, expired ones, wildcards, clients' and revocation lists. It is
// linked into tests only.
package certtest
