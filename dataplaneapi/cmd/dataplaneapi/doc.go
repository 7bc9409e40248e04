// Command dataplaneapi serves the REST API in front of a proxy: it reads the command line and runs package daemon until a
// signal ends it. It owns nothing but the exit status.
package main
