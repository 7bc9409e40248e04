// Package crtlist reads and changes crt-list files (chapter 5.1 of the configuration manual, "crt-list"): lines that stay
// are kept byte for byte, comments and empty lines included.
//
// It knows the form of a line and nothing of what the words in it mean, and it touches no disk.
package crtlist
