package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The programs under test, as absolute paths.
var forebay, dataplaneapi, root string

func TestMain(m *testing.M) {
	if os.Getenv("FOREBAY_E2E") == "" {
		fmt.Println("e2e: nothing was tested, since FOREBAY_E2E is not set (make e2e sets it)")
		os.Exit(0)
	}
	dir, err := filepath.Abs("../..")
	if err == nil {
		root = dir
		forebay, err = find("FOREBAY_BIN", "bin/forebay")
	}
	if err == nil {
		dataplaneapi, err = find("DATAPLANEAPI_BIN", "bin/dataplaneapi")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// find gives the path of a program of ours.
func find(variable, path string) (string, error) {
	if v := os.Getenv(variable); v != "" {
		path = v
	} else {
		path = filepath.Join(root, path)
	}
	path, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", fmt.Errorf("%w (make build, or set %s)", err, variable)
	}
	return path, nil
}

// tool gives the path of somebody else's program. `make deps` installs them all:
// where it could not, the test is skipped, but never in CI.
func tool(t *testing.T, name string) string {
	t.Helper()
	if v := os.Getenv("HAPROXY"); name == "haproxy" && v != "" {
		return v
	}
	for _, p := range []string{name, "/usr/sbin/" + name} {
		if p, err := exec.LookPath(p); err == nil {
			return p
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: make deps", name)
	}
	t.Skipf("NOT TESTED: %s is missing and could not be installed (make deps)", name)
	return ""
}
