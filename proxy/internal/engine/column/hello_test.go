package column_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/stats"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

// A feature that counts something of its own: the counter hangs on the backend as
// long as that lives, and its column stands behind those of the engine.
var greetings = slot.NewLive[*stream.BackState, atomic.Int64]()

func init() {
	stream.RegisterColumn(stream.Column{
		Name: "hello_total", Desc: "Greetings given", Module: "hello",
		Of: [column.Kinds]stream.ColumnFunc{column.Backend: func(o *stream.Object) column.Value {
			return column.Total(greetings.In(o.Proxy.BE).Load())
		}},
	})
}

// To add a column of "show stat", which every exporter shows too.
func TestHelloColumn(t *testing.T) {
	w := workertest.New(t, 1)
	be := &stream.Proxy{Name: "be", Backend: true, ID: 1, BE: stream.NewBackState("be", 1, w.Started)}
	w.SetSnapshot(&stream.Snapshot{Global: &stream.Global{}, Proxies: []*stream.Proxy{be}, Backends: map[string]*stream.Proxy{"be": be}})
	workertest.Run(t, w)
	greetings.In(be.BE).Add(3)
	for command, want := range map[string]string{
		"show stat typed desc": `hello_total.1:MCPP:u64:3:"Greetings given"`,
		"show stat":            ",hello_total,",
	} {
		if got := bed.AskAs(t, w, runtimeapi.User, command); !strings.Contains(got, want) {
			t.Errorf("%s: no %s in\n%s", command, want, got)
		}
	}
}
