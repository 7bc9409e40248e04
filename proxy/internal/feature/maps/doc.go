// Package maps is what works on lists of patterns by their name: the converters
// "map" to "map_ip_key" (manual 7.3.1), the rules "set-map", "del-map", "add-acl"
// and "del-acl" (manual 4.4), and the commands "show map" to "commit acl" of the
// Runtime socket (management.txt 9.3).
//
// The lists themselves, and how they are matched, are package pattern's.
package maps
