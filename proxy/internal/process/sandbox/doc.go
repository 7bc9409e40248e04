// Package sandbox takes away from a process what it needs no longer once it has
// started: the root folder (chroot), the user, the capabilities, new privileges
// by exec, the whole filesystem (Landlock), and the system calls that a proxy has
// no use for (seccomp).
//
// What stays: the network, the descriptors that are open, and, if the process
// had it, CAP_NET_BIND_SERVICE, because a configuration that is applied later
// may open a port below 1024. Landlock and seccomp are applied as far as the kernel has them.
// [State] says how far that is.
//
// The program is built without cgo. With it, system calls on all threads need
// /proc, so that a chroot without one fails.
//
// [Enter] works on all threads and cannot be undone. Libraries that read files
// when they are first used must have done so before: see [Before]. The package
// never decides what is given up; its caller does.
package sandbox
