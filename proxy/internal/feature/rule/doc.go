// Package rule is the actions of "http-request", "http-response",
// "http-after-response", "tcp-request" and "tcp-response" rules, "redirect" and
// "use_backend" (chapters 4.3 and 4.4 of the manual).
//
// An action registers its name and a parser with [RegisterAction]; the parser
// returns what is run for each exchange, which must not allocate: computed
// values go into the exchange's arena. The package never touches a connection:
// an answer is put into the stream's Reply. Waiting for content is the engine's
// (stream/inspect.go); a rule only says that it cannot decide yet.
package rule
