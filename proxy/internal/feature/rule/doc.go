// Package rule is the actions of "http-request", "http-response",
// "http-after-response" and "tcp-request connection" rules, "redirect" and
// "use_backend" (chapters 4.3 and 4.4 of the manual).
//
// An action registers its name and a parser with [RegisterAction]; the parser
// returns what is run for each exchange, which must not allocate: computed
// values go into the exchange's arena. The package never touches a connection:
// an answer is put into the stream's Reply.
package rule
