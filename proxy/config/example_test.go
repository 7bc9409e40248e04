package config_test

import (
	"fmt"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
)

func ExampleParse() {
	f := config.Parse("site.cfg", []byte(`# our site
backend app
    balance roundrobin   # fair enough
    server s1 "${APP}:80" check
`))
	app := f.Sections()[0]
	app.Set(app.Body[0], "balance", "leastconn")
	app.Append("server", "s2", "10.0.0.2:80", "check")
	fmt.Print(string(f.Bytes()))
	// Output:
	// # our site
	// backend app
	//     balance leastconn   # fair enough
	//     server s1 "${APP}:80" check
	//     server s2 10.0.0.2:80 check
}

func ExampleFile_InsertSection() {
	f := config.Parse("site.cfg", []byte("defaults\n  mode http\n\n# the old application\nbackend app\n  server s1 10.0.0.1:80\n"))
	s := f.InsertSection(f.Sections()[0], "frontend", "www", "")
	s.Append("bind", ":80")
	s.Append("http-request", "set-header", "X-Via", "two words")
	fmt.Print(string(f.Bytes()))
	// Output:
	// defaults
	//   mode http
	//
	// frontend www
	//   bind :80
	//   http-request set-header X-Via "two words"
	//
	// # the old application
	// backend app
	//   server s1 10.0.0.1:80
}

func ExampleEvaluate() {
	f := config.Parse("site.cfg", []byte(`global
    setenv APP 10.0.0.1
backend app
    .if defined(TLS)
    server s1 "$APP:443" ssl
    .else
    server s1 "$APP:80"
    .endif
    no option redispatch
    bad "quote
`))
	var d config.Diagnostics
	for _, b := range config.Evaluate([]*config.File{f}, config.Options{Version: "3.4.0"}, &d) {
		for _, s := range b.Statements {
			fmt.Println(b.Kind, b.Name, s.Pos.Line, s.No, s.Args)
		}
	}
	for _, x := range d.All() {
		fmt.Printf("[%s] %s\n", x.Severity, x)
	}
	// Output:
	// backend app 7 false [server s1 10.0.0.1:80]
	// backend app 9 true [option redispatch]
	// [ALERT] config : parsing [site.cfg:10]: unmatched quote at position 9:
	//   bad "quote
	//       ^
}

func ExampleEvalArgument() {
	ok, err := config.EvalArgument(`streq("$MODE",blue) && version_atleast(3.0)`, config.Options{
		Env:     config.NewEnvironment([]string{"MODE=blue"}),
		Version: "3.4.0",
	})
	fmt.Println(ok, err)
	// Output: true <nil>
}

func ExampleQuote() {
	for _, w := range []string{"plain", "two words", `^/a\.b$`, "it's"} {
		fmt.Println(config.Quote(w))
	}
	// Output:
	// plain
	// "two words"
	// '^/a\.b$'
	// "it's"
}

func ExampleParseTime() {
	d, err := config.ParseTime("1500us", time.Millisecond)
	fmt.Println(d, err)
	_, err = config.ParseTime("25d", time.Millisecond)
	fmt.Println(config.TimeErrorText(err, "25d", "timeout client", time.Millisecond))
	// Output:
	// 2ms <nil>
	// timer overflow in argument '25d' to 'timeout client' (maximum value is 2147483647 ms or ~24.8 days)
}

func ExampleParseAddress() {
	a, err := config.ParseAddress("ipv4@10.0.0.1:8000-8010", config.AddressOptions{Port: true, PortRange: true})
	fmt.Println(a.IP, a.PortLow, a.PortHigh, err)
	_, err = config.ParseAddress("*:http", config.AddressOptions{Port: true})
	fmt.Println(err)
	// Output:
	// 10.0.0.1 8000 8010 <nil>
	// invalid character 'h' in port number 'http' in '*:http'
}
