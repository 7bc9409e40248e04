package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
)

// What every resource has beside the properties of its description.
const (
	// metadataField is whatever a client wants to keep with an object. In the file it is the comment of the line (of the
	// header, for a section), as JSON.
	metadataField = "metadata"
	// opaqueField is a line of a list that the list's description does not know, as it stands in the file.
	opaqueField = "opaque"

	maxMetadata = 16 << 10 // bytes of one object
)

// metadata reads the comment of a line as metadata, nil when it is a comment for people.
func metadata(l *config.Line) map[string]any {
	if !strings.HasPrefix(l.Comment, "{") {
		return nil
	}
	var m map[string]any
	if json.Unmarshal([]byte(l.Comment), &m) != nil || len(m) == 0 {
		return nil
	}
	return m
}

// parted divides an object into its metadata and what the line says.
func parted(obj map[string]any) (meta any, rest map[string]any) {
	meta, has := obj[metadataField]
	if !has {
		return nil, obj
	}
	rest = maps.Clone(obj)
	delete(rest, metadataField)
	return meta, rest
}

// setMetadata makes the comment of a line say the metadata of its object. What people wrote behind the line stays, above it
// when there is no other place.
func setMetadata(s *config.Section, l *config.Line, v any) error {
	m, _ := v.(map[string]any)
	old := metadata(l)
	if equal(m, old) || len(m) == 0 && old == nil {
		return nil
	}
	text := ""
	if len(m) > 0 {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(m); err != nil {
			return &FieldError{metadataField, err.Error()}
		}
		if text = strings.TrimSpace(b.String()); len(text) > maxMetadata {
			return &FieldError{metadataField, fmt.Sprintf("has more than %d bytes", maxMetadata)}
		}
	}
	people := l.Comment
	if err := s.Comment(l, text); err != nil {
		return &FieldError{metadataField, err.Error()}
	}
	if old == nil && people != "" {
		if i := slices.Index(s.Body, l); i >= 0 {
			s.InsertComment(i, people)
		} else {
			s.InsertComment(0, people) // of the header
		}
	}
	return nil
}
