package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/daemon"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/settings"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, errs io.Writer) int {
	s, err := settings.Parse(args, errs)
	switch {
	case errors.Is(err, settings.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(errs, "dataplaneapi:", err)
		return 1
	case s.ShowVersion:
		fmt.Fprintln(out, daemon.Banner())
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := daemon.Run(ctx, s, nil); err != nil {
		fmt.Fprintln(errs, "dataplaneapi:", err)
		return 1
	}
	return 0
}
