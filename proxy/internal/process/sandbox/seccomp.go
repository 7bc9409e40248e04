package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Answers of a filter (linux/seccomp.h), and where it finds what was asked for
// (struct seccomp_data, on a little-endian machine).
const (
	answerAllow = unix.SECCOMP_RET_ALLOW
	answerErrno = unix.SECCOMP_RET_ERRNO

	dataCall = 0
	dataArch = 4
	dataArgs = 16
)

// architectures are those whose calls [allowed] was made for, by their number in
// the kernel's audit.
var architectures = map[string]uint32{"amd64": 0xc000003e, "arm64": 0xc00000b7}

var errArchitecture = errors.New("not on " + runtime.GOARCH)

// filter makes the program that the kernel runs before each system call.
func filter(pid int) ([]bpf.RawInstruction, error) {
	arch, ok := architectures[runtime.GOARCH]
	if !ok {
		return nil, errArchitecture
	}
	allow := bpf.RetConstant{Val: answerAllow}
	no := func(e unix.Errno) bpf.Instruction { return bpf.RetConstant{Val: answerErrno | uint32(e)} }
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: dataArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1},
		no(unix.EPERM), // 32-bit calls have other numbers
		bpf.LoadAbsolute{Off: dataCall, Size: 4},
	}
	for _, n := range append(allowed, own...) {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(n), SkipTrue: 1}, allow)
	}
	// The C library, in a program with the race detector, then uses clone(2),
	// whose arguments can be seen.
	p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE3, SkipTrue: 1}, no(unix.ENOSYS))
	for _, c := range conditions(pid) {
		block := []bpf.Instruction{
			bpf.LoadAbsolute{Off: dataArgs + 8*c.arg, Size: 4},
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: c.mask},
		}
		for _, v := range c.values {
			block = append(block, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: v, SkipTrue: 1}, allow)
		}
		block = append(block, no(unix.EPERM))
		p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(c.call), SkipTrue: uint8(len(block))})
		p = append(p, block...)
	}
	return bpf.Assemble(append(p, no(unix.EPERM)))
}

// confine puts the filter on all threads. The process has given up new privileges
// before.
func confine() error {
	p, err := filter(os.Getpid())
	if err != nil {
		return err
	}
	return install(p)
}

func install(p []bpf.RawInstruction) error {
	code := make([]unix.SockFilter, len(p))
	for i, in := range p {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	// Without SPEC_ALLOW older kernels turn off speculation, at a price for all
	// code, against secrets of other processes that this one could not read.
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	n, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(code)
	switch {
	case e != 0:
		return e
	case n != 0:
		return fmt.Errorf("thread %d has another filter", n)
	}
	return nil
}
