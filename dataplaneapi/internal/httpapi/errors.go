package httpapi

import (
	"errors"
	"net/http"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/ladder"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
)

// translate finds the status of an error. What a client cannot act upon goes to the log only.
func (s *Server) translate(_ *http.Request, err error) *Error {
	var e *Error
	var field *resource.FieldError
	var refused *ladder.Refused
	var reply *runtime.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &field):
		return &Error{http.StatusUnprocessableEntity, field.Error()}
	case errors.As(err, &refused):
		return &Error{http.StatusBadRequest, refused.Text}
	case errors.Is(err, resource.ErrIndex), errors.Is(err, store.ErrNotFile):
		return &Error{http.StatusBadRequest, err.Error()}
	case errors.Is(err, resource.ErrNotFound), errors.Is(err, store.ErrNoTransaction):
		return &Error{http.StatusNotFound, err.Error()}
	case errors.Is(err, resource.ErrExists), errors.Is(err, ladder.ErrVersion), errors.Is(err, store.ErrChanged):
		return &Error{http.StatusConflict, err.Error()}
	case errors.Is(err, store.ErrTooMany):
		return &Error{http.StatusTooManyRequests, err.Error()}
	case errors.As(err, &reply):
		return replyError(reply)
	case errors.Is(err, runtime.ErrUnreachable):
		return &Error{http.StatusServiceUnavailable, runtime.ErrUnreachable.Error()}
	}
	return &Error{http.StatusInternalServerError, "internal error: see the log"}
}
