package sandbox

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Options say what to give up.
type Options struct {
	// Chroot is the new root folder, "" for none.
	Chroot string
	// UID and GID are who to become, -1 to stay.
	UID, GID int
	// Off leaves the capabilities and the filesystem alone, for debugging:
	// chroot, user and group are still honoured.
	Off bool
}

// State is how well a sandbox is closed.
type State struct {
	// Off tells that it was not wanted.
	Off bool
	// Landlock is the version that the kernel has, 0 for none.
	Landlock int
	// Seccomp tells that only known system calls are possible.
	Seccomp bool
	// Lacking says what the kernel cannot do, one sentence each.
	Lacking []string
}

// String is the state for "show info".
func (s State) String() string {
	if s.Off {
		return "off"
	}
	text := "no Landlock"
	if s.Landlock > 0 {
		text = fmt.Sprintf("Landlock %d", s.Landlock)
	}
	if s.Seccomp {
		return text + ", seccomp"
	}
	return text + ", no seccomp"
}

// Enter closes the sandbox, as far as the kernel can. An error means that the
// process has kept something that it was told to give up, and must not go on.
func Enter(o Options) (state State, err error) {
	_ = time.Now().Local().String() // reads the time zone
	if o.Chroot != "" {
		if err := unix.Chroot(o.Chroot); err != nil {
			return state, fmt.Errorf("cannot chroot(%s): %w", o.Chroot, err)
		}
		if err := os.Chdir("/"); err != nil {
			return state, fmt.Errorf("cannot chdir(/) after chroot(%s): %w", o.Chroot, err)
		}
	}
	keep, err := bindCapability()
	if err != nil {
		return state, fmt.Errorf("cannot read the capabilities: %w", err)
	}
	if !o.Off {
		if err := dropBounding(); err != nil {
			return state, fmt.Errorf("cannot limit the capabilities: %w", err)
		}
	}
	if err := become(o.UID, o.GID, keep != 0); err != nil {
		return state, err
	}
	if o.Off {
		state.Off = true
		return state, nil
	}
	if err := setCapabilities(keep); err != nil {
		return state, fmt.Errorf("cannot drop capabilities: %w", err)
	}
	if err := all(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return state, fmt.Errorf("cannot forbid new privileges: %w", err)
	}
	// Not newer than V8: V9 would forbid sending to UNIX sockets by path, which
	// logs do. Best effort: an old kernel has less of it, or none.
	v, err := landlockVersion()
	switch {
	case err != nil:
		state.Lacking = append(state.Lacking, fmt.Sprintf("the kernel has no Landlock (%v): the file system stays within reach.", err))
	case v < 3:
		state.Lacking = append(state.Lacking, fmt.Sprintf("the kernel's Landlock (version %d) cannot forbid to truncate files.", v))
	}
	state.Landlock = max(v, 0)
	if err := landlock.V8.BestEffort().RestrictPaths(); err != nil {
		return state, fmt.Errorf("cannot give up the file system: %w", err)
	}
	if err := confine(); err != nil {
		state.Lacking = append(state.Lacking, fmt.Sprintf("the kernel cannot limit the system calls (seccomp: %v).", err))
	} else {
		state.Seccomp = true
	}
	return state, nil
}

// become changes group and user, in this order: the group cannot be changed any
// more afterwards.
func become(uid, gid int, keepCaps bool) error {
	if gid >= 0 && gid != os.Getgid() || uid >= 0 && os.Getuid() == 0 && uid != 0 {
		// Supplementary groups were those of whoever started the process.
		if err := syscall.Setgroups(nil); err != nil && os.Getuid() == 0 {
			return fmt.Errorf("cannot drop supplementary groups: %w", err)
		}
	}
	if gid >= 0 && gid != os.Getgid() {
		if err := syscall.Setgid(gid); err != nil {
			return fmt.Errorf("cannot set gid %d: %w", gid, err)
		}
	}
	if uid < 0 || uid == os.Getuid() {
		return nil
	}
	if keepCaps {
		if err := all(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0); err != nil {
			return fmt.Errorf("cannot keep capabilities: %w", err)
		}
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("cannot set uid %d: %w", uid, err)
	}
	return nil
}

// all makes a system call on every thread.
func all(nr, a, b, c uintptr) error {
	_, _, e := psx.Syscall6(nr, a, b, c, 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

func landlockVersion() (int, error) {
	const version = 1 // LANDLOCK_CREATE_RULESET_VERSION
	v, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version)
	if e != 0 {
		return 0, e
	}
	return int(v), nil
}
