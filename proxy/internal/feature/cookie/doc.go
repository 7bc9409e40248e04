// Package cookie is persistence: "cookie" with its options, "cookie" of server
// lines, "dynamic-cookie-key", "force-persist", "ignore-persist", "persist
// rdp-cookie", and the commands that change dynamic cookies. It finds the server
// that had the client before by what the client says of it, and tells the client of
// the server that it has now.
//
// What a stream does with the server that it belongs to, when there is no slot, no
// connection or no server any more, is the engine's.
package cookie
