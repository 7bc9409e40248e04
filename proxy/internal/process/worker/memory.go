package worker

import (
	"fmt"
	"math"
	"runtime/debug"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// limitMemory is "-m": nil without it. What the configuration itself takes has to
// leave room for connections.
func (p *process) limitMemory() (*reactor.Memory, error) {
	if p.Memory == 0 {
		debug.SetMemoryLimit(math.MaxInt64) // what the environment says is not for us
		return nil, nil
	}
	m := reactor.NewMemory(int64(p.Memory) << 20)
	debug.SetMemoryLimit(m.ForCollector())
	debug.FreeOSMemory()
	if used := m.Used(); used > m.Limit/4*3 {
		return nil, fmt.Errorf("'-m %d' leaves no room for connections: the program and its configuration take %d MB", p.Memory, used>>20)
	}
	return m, nil
}
