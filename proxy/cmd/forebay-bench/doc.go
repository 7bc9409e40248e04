// Command forebay-bench measures Forebay beside HAProxy in one run: both serve
// the same configuration on the same machine, in alternating rounds, and the
// medians are compared.
//
// What counts is the CPU time that a proxy takes for a request, as the kernel
// accounts it to the proxy's threads: it hardly depends on what else the machine
// does, while throughput does. Load comes from wrk where it can, and from an
// epoll loop of our own for what wrk cannot do: a connection per request, a fixed
// rate, idle connections, bursts. The origin server is a part of this program.
//
// FOREBAY and HAPROXY name the programs to compare; see -h for the rest.
package main
