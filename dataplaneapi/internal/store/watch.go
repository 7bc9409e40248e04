package store

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long a file must be left alone before it is read: editors write in several steps.
const quiet = 200 * time.Millisecond

// Watch notices changes of the file until the context ends. The folder is watched, not the file: editors and this program
// replace the file by another one of the same name. The channel is closed when the watch has ended.
func (s *Store) Watch(ctx context.Context) (<-chan struct{}, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := w.Add(filepath.Dir(s.Path)); err != nil {
		w.Close()
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer w.Close()
		timer := time.NewTimer(quiet)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case e, ok := <-w.Events:
				if !ok {
					return
				}
				if e.Name == s.Path {
					timer.Reset(quiet)
				}
			case err, ok := <-w.Errors:
				if !ok {
					return
				}
				s.Log.Warn("watching the configuration file", "error", err)
				timer.Reset(quiet) // events were lost: look
			case <-timer.C:
				if _, _, err := s.Text(); err != nil {
					s.Log.Warn("the configuration file cannot be read", "file", s.Path, "error", err)
				}
			}
		}
	}()
	return done, nil
}
