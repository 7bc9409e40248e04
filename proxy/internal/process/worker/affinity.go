package worker

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
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
	cpus := p.Snapshot.Global.ProcessCPUs
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
	g := p.Snapshot.Global
	if i >= len(g.CPUs) || g.CPUs[i] == nil {
		return
	}
	runtime.LockOSThread()
	if err := unix.SchedSetaffinity(0, cpuSet(g.CPUs[i])); err != nil {
		p.Console.Warn("[forebay] cannot bind thread %d to its CPUs: %v", i+1, err)
	}
}
