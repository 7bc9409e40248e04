package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// affinities lists the CPUs of a process's threads, each kind once.
func affinities(t *testing.T, pid string) (list []string) {
	t.Helper()
	files, _ := filepath.Glob("/proc/" + pid + "/task/*/status")
	for _, f := range files {
		b, _ := os.ReadFile(f)
		if m := regexp.MustCompile(`Cpus_allowed_list:\s*(\S+)`).FindSubmatch(b); m != nil && !slices.Contains(list, string(m[1])) {
			list = append(list, string(m[1]))
		}
	}
	slices.Sort(list)
	return list
}

// TestProcessors: threads run where "cpu-map" and "cpu-set" say.
func TestProcessors(t *testing.T) {
	all := affinities(t, "self")
	if len(all) != 1 || !strings.HasPrefix(all[0], "0-") {
		t.Skipf("needs CPUs 0 and 1, has %v", all)
	}
	for _, c := range []struct {
		global  string
		want    []string // among others, with the last: nothing else
		only    bool
		threads int
	}{
		{"nbthread 2\n  cpu-map auto:1/1-2 0-1", []string{"0", "1"}, false, 2},
		{"nbthread 2\n  cpu-map 1/2 1", []string{all[0], "1"}, false, 2},
		{"cpu-set only-cpu 1", []string{"1"}, true, 1},
		{"cpu-set reset drop-cpu 1-1023", []string{"0"}, true, 1},
		{"cpu-policy none\n  no numa-cpu-mapping\n  nbthread 3\n  thread-groups 2", all, true, 3},
	} {
		for _, mode := range []string{"-db", "-W"} {
			s := newSite(t)
			s.global = "  " + c.global
			s.write()
			args := []string{mode, "-f", s.cfg}
			if mode == "-W" {
				args = append(args, "-S", s.control)
			}
			p := launch(t, command(args...))
			p.serves(s)
			pid := fmt.Sprint(p.cmd.Process.Pid)
			if mode == "-W" {
				now, _ := s.workers()
				pid = one(t, now)
			}
			got := affinities(t, pid)
			for _, w := range c.want {
				if !slices.Contains(got, w) {
					t.Errorf("%s %s: threads run on %q", mode, c.global, got)
				}
			}
			if c.only && len(got) != len(c.want) {
				t.Errorf("%s %s: threads run on %q", mode, c.global, got)
			}
			if n := s.field("Nbthread"); n != c.threads {
				t.Errorf("%s %s: %d threads", mode, c.global, n)
			}
			s.mustGet(s.addr)
			if strings.Contains(p.output(), "cannot bind") {
				t.Error(p.output())
			}
			p.signal(syscall.SIGTERM)
			p.exit()
		}
	}
}

// TestSharedSockets: sockets that several threads share lose no connection, wake
// all of these threads, and live on in the next worker.
func TestSharedSockets(t *testing.T) {
	for _, c := range []struct{ name, bind string }{
		{"path", "@DIR@/u.sock"},
		{"one shard", "@PORT@ shards 1"},
		{"two shards", "@PORT@ shards 2"},
		{"by group", "@PORT@ shards by-group"},
		{"some threads", "@PORT@ thread 2-3 shards 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.global = "  nbthread 4\n  thread-groups 2"
			port := freePort(t)
			bind := strings.NewReplacer("@DIR@", s.dir, "@PORT@", port).Replace(c.bind)
			network, addr := "tcp", port
			if c.name == "path" {
				network, addr = "unix", filepath.Join(s.dir, "u.sock")
			}
			s.extra = "frontend shared\n  bind " + bind + "\n  default_backend app\n"
			s.write()
			p := launch(t, command("-W", "-S", s.control, "-f", s.cfg))
			p.await(1, "Loading success.")
			burst := func() {
				t.Helper()
				var wg sync.WaitGroup
				for range 8 {
					wg.Add(1)
					go func() {
						defer wg.Done()
						for range 25 {
							c, err := net.DialTimeout(network, addr, patience)
							if err == nil {
								err = over(c)
							}
							if err != nil {
								t.Error(err)
								return
							}
						}
					}()
				}
				wg.Wait()
			}
			burst()
			for _, threads := range []string{"3", "5"} {
				s.global = "  nbthread " + threads + "\n  thread-groups 2"
				s.write()
				if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") {
					t.Fatalf("reload:\n%s", got)
				}
				burst()
			}
		})
	}
}

// TestFileLimits: what cannot be had is an error, or a warning with "no
// strict-limits".
func TestFileLimits(t *testing.T) {
	for _, c := range []struct {
		global string
		fails  bool
		text   string
		limit  int
	}{
		{"maxconn 100", false, "", 0},
		{"maxconn 100\n  ulimit-n 777", false, "", 777},
		{"ulimit-n 1000", false, "", 1000},
		{"maxconn 10000\n  ulimit-n 500", true, "FD limit (500) too low for maxconn=10000/maxsock=", 0},
		{"no strict-limits\n  maxconn 10000\n  ulimit-n 500", false, "FD limit (500) too low for maxconn=10000/maxsock=", 500},
		{"maxconn 4000000", true, "Cannot raise FD limit to 80", 0},
		{"no strict-limits\n  maxconn 4000000", false, "Cannot raise FD limit to 80", 0},
		{"fd-hard-limit 900", false, "", 0},
	} {
		s := newSite(t)
		s.global = "  nbthread 1\n  " + c.global
		s.write()
		cmd := command("-db", "-f", s.cfg)
		if c.fails {
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "[ALERT]") || !strings.Contains(string(out), c.text) {
				t.Errorf("%s: %v\n%s", c.global, err, out)
			}
			continue
		}
		p := launch(t, cmd)
		p.serves(s)
		if c.text != "" {
			p.await(1, c.text)
		}
		if got := s.field("Ulimit-n"); c.limit != 0 && got != c.limit {
			t.Errorf("%s: Ulimit-n %d", c.global, got)
		}
		if got := s.field("Maxconn"); strings.Contains(c.global, "fd-hard-limit 900") && got > 400 || strings.HasPrefix(c.global, "ulimit-n 1000") && got > 450 {
			t.Errorf("%s: Maxconn %d", c.global, got)
		}
		s.mustGet(s.addr)
		p.signal(syscall.SIGTERM)
		p.exit()
	}
}

// TestDefaultPath: relative names of files start where "default-path" says.
func TestDefaultPath(t *testing.T) {
	for _, c := range []struct{ mode, folder string }{
		{"current", "."}, {"config", "conf"}, {"parent", "."}, {"origin @DIR@/else", "else"},
	} {
		for _, how := range []string{"-db", "-W"} {
			s := newSite(t)
			for _, dir := range []string{"conf", "else"} {
				os.Mkdir(filepath.Join(s.dir, dir), 0o700)
			}
			files := filepath.Join(s.dir, c.folder)
			certificate(t, s)
			cert, _ := os.ReadFile(filepath.Join(s.dir, "cert.pem"))
			os.Remove(filepath.Join(s.dir, "cert.pem"))
			for name, data := range map[string]string{"x.pem": string(cert), "list": "/a\n", "500.http": "HTTP/1.1 500 Ours\r\ncontent-length: 0\r\n\r\n"} {
				if err := os.WriteFile(filepath.Join(files, name), []byte(data), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s.global = "  default-path " + strings.ReplaceAll(c.mode, "@DIR@", s.dir)
			s.cfg = filepath.Join(s.dir, "conf", "a.cfg")
			s.extra = "frontend files\n  bind " + freePort(t) + " ssl crt x.pem\n  errorfile 500 500.http\n  http-request deny if { path -f list }\n  default_backend app\n"
			s.write()
			args := []string{how, "-f", "conf/a.cfg"}
			if how == "-W" {
				args = append(args, "-S", s.control)
			}
			cmd := command(args...)
			cmd.Dir = s.dir
			p := launch(t, cmd)
			p.serves(s)
			if how == "-W" {
				s.extra += "  # changed\n  http-request deny if { path_beg -f list }\n"
				s.extra = strings.Replace(s.extra, "default_backend app\n  #", "http-request deny if { path -i -f list }\n  default_backend app\n#", 1)
				s.extra = strings.Replace(s.extra, "\n  http-request deny if { path_beg", "\n#", 1)
				s.write()
				if got := s.ask(s.control, "reload"); !strings.Contains(got, "Applied in place") {
					t.Errorf("%s: reload:\n%s", c.mode, got)
				}
			}
			s.mustGet(s.addr)
			// From somewhere else, the files are not where they are looked for.
			if c.mode == "current" {
				other := exec.Command("/proc/self/exe", "-c", "-f", s.cfg)
				other.Env = append(os.Environ(), asProgram+"=1")
				other.Dir = "/"
				if out, err := other.CombinedOutput(); err == nil {
					t.Errorf("files are found from anywhere:\n%s", out)
				}
			}
			p.signal(syscall.SIGTERM)
			p.exit()
		}
	}
}
