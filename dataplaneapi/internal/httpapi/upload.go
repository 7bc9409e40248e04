package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
)

// Bounds of a body of multipart/form-data.
const (
	maxUpload  = 16<<20 + 64<<10 // bytes: the largest file, and what is around it
	uploadPart = "file_upload"   // the only part that operations take
)

// An upload is the file of a body of multipart/form-data.
type upload struct {
	name string // as the client says it, perhaps with folders; not checked
	data []byte
}

// readUpload reads a body with exactly one part, the file.
func readUpload(contentType string, body []byte) (*upload, error) {
	ct, params, err := mime.ParseMediaType(contentType)
	if err != nil || ct != "multipart/form-data" {
		return nil, fail(http.StatusUnsupportedMediaType, "body: Content-Type must be multipart/form-data, not %q", contentType)
	}
	if params["boundary"] == "" {
		return nil, fail(http.StatusBadRequest, "body: Content-Type has no boundary")
	}
	var file *upload
	for rd := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		part, err := rd.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fail(http.StatusBadRequest, "body: %v", err)
		}
		if name := part.FormName(); name != uploadPart || file != nil {
			return nil, fail(http.StatusUnprocessableEntity, "%s: only one part is taken, %s", name, uploadPart)
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, fail(http.StatusBadRequest, "%s: %v", uploadPart, err)
		}
		// Part.FileName leaves the folders out: a name at run time is a path.
		_, disposition, _ := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
		file = &upload{disposition["filename"], data}
	}
	if file == nil {
		return nil, fail(http.StatusUnprocessableEntity, "%s: is required", uploadPart)
	}
	return file, nil
}
