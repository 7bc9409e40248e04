package sandbox

import "golang.org/x/sys/unix"

// own are the calls that only this architecture has.
var own = []uintptr{unix.SYS_EPOLL_WAIT, unix.SYS_ARCH_PRCTL, unix.SYS_TIME, unix.SYS_POLL, unix.SYS_ACCEPT, unix.SYS_GETRLIMIT}
