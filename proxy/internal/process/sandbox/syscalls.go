package sandbox

import "golang.org/x/sys/unix"

// What a worker may ask of the kernel. Everything else fails with EPERM: above
// all what opens, lists, or changes files by name, starts programs, looks into
// other processes, or reaches a part of the kernel that a proxy has no use for.
//
// A call that is new here needs a reason in README.md.

// allowed are calls that may have any arguments. Those of every request come
// first: kernels without a cache of answers (before 5.11) go through the list.
var allowed = []uintptr{
	// connections
	unix.SYS_EPOLL_PWAIT, unix.SYS_RECVFROM, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_EPOLL_CTL, unix.SYS_CLOSE, unix.SYS_ACCEPT4,
	unix.SYS_SPLICE, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_FUTEX, unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKOPT, unix.SYS_CONNECT, unix.SYS_BIND,
	unix.SYS_LISTEN, unix.SYS_SHUTDOWN, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_RECVMSG, unix.SYS_RECVMMSG, unix.SYS_SENDMMSG,
	unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PIPE2, unix.SYS_EVENTFD2, unix.SYS_EPOLL_CREATE1, unix.SYS_FCNTL, unix.SYS_DUP, unix.SYS_DUP3,
	// descriptors that are open; PREAD64 and LSEEK of files that were opened before
	unix.SYS_PREAD64, unix.SYS_LSEEK, unix.SYS_FSTAT, unix.SYS_PPOLL,
	// memory of the runtime
	unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE, unix.SYS_MREMAP, unix.SYS_MINCORE, unix.SYS_BRK, unix.SYS_MEMBARRIER,
	// its threads
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_GETTID, unix.SYS_GETPID, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY,
	unix.SYS_SIGALTSTACK, unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_RESTART_SYSCALL,
	unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_GETCPU, unix.SYS_SET_TID_ADDRESS,
	// time and chance
	unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_GETTIMEOFDAY,
	unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME, unix.SYS_TIMER_DELETE, unix.SYS_SETITIMER, unix.SYS_GETRANDOM,
	// what the process may know of itself
	unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_GETPPID, unix.SYS_GETRUSAGE, unix.SYS_CAPGET,
	unix.SYS_UNAME, unix.SYS_SYSINFO,
}

// condition allows a call if one of its arguments, as far as mask sees it, is one
// of values.
type condition struct {
	call   uintptr
	arg    uint32
	mask   uint32
	values []uint32
}

// conditions depend on the process: signals are for itself only.
func conditions(pid int) []condition {
	const all = ^uint32(0)
	self := []uint32{uint32(pid)}
	newNamespace := uint32(unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP)
	return []condition{
		{unix.SYS_SOCKET, 0, all, []uint32{unix.AF_INET, unix.AF_INET6, unix.AF_UNIX}},
		{unix.SYS_SOCKETPAIR, 0, all, []uint32{unix.AF_UNIX}},
		{unix.SYS_TGKILL, 0, all, self},
		{unix.SYS_KILL, 0, all, self},
		{unix.SYS_CLONE, 0, unix.CLONE_THREAD | newNamespace, []uint32{unix.CLONE_THREAD}}, // threads, not processes
		{unix.SYS_PRLIMIT64, 0, all, append(self, 0)},
		{unix.SYS_PRCTL, 0, all, []uint32{unix.PR_SET_VMA, unix.PR_SET_NAME, unix.PR_GET_NAME, unix.PR_CAPBSET_READ, unix.PR_GET_NO_NEW_PRIVS}},
	}
}
