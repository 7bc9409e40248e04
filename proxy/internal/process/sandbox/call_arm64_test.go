package sandbox_test

import "golang.org/x/sys/unix"

const newfstatat = unix.SYS_FSTATAT
