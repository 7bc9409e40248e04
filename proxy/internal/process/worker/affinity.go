package worker

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
)

func cpuSet(list []int) *unix.CPUSet {
	var set unix.CPUSet
	for _, n := range list {
		set.Set(n)
	}
	return &set
}

// bindProcess keeps all threads, and those that they start, on the CPUs of
// "cpu-set".
func (p *process) bindProcess() {
	cpus := conf.CPUs.Value(p.Snapshot.Global).Process
	if cpus == nil {
		return
	}
	set := cpuSet(cpus)
	_, _, e := psx.Syscall3(unix.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
	runtime.KeepAlive(set)
	if e != 0 {
		p.Console.Warn("[forebay] cannot bind the process to its CPUs: %v", e)
	}
}

// bindThread keeps the calling goroutine on a thread of its own, and that on the
// CPUs of "cpu-map".
func (p *process) bindThread(i int) {
	cpus := conf.CPUs.Value(p.Snapshot.Global).Threads
	if i >= len(cpus) || cpus[i] == nil {
		return
	}
	runtime.LockOSThread()
	if err := unix.SchedSetaffinity(0, cpuSet(cpus[i])); err != nil {
		p.Console.Warn("[forebay] cannot bind thread %d to its CPUs: %v", i+1, err)
	}
}
