package httpapi

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
)

// Bounds of what is sent to the proxy, in bytes.
const (
	maxName = 1024
	maxCert = 1 << 20
	maxList = 16 << 20 // authorities, revocation lists
)

// runtimeSSL are the operations upon what the proxy holds in memory for TLS, by their name in the document. None of them
// changes a file.
func (s *Server) runtimeSSL() map[string]handler {
	return map[string]handler{
		"getAllCerts":   s.runtimeCerts,
		"createCert":    s.createRuntimeFile(runtime.Cert),
		"getCert":       s.runtimeCert,
		"replaceCert":   s.replaceRuntimeFile(runtime.Cert),
		"deleteCert":    s.deleteRuntimeFile(runtime.Cert),
		"getAllCaFiles": s.runtimeCAs,
		"createCaFile":  s.createRuntimeFile(runtime.CAFile),
		"getCaFile":     s.runtimeCA,
		"setCaFile":     s.replaceRuntimeFile(runtime.CAFile),
		"deleteCaFile":  s.deleteRuntimeFile(runtime.CAFile),
		"addCaEntry":    s.addCAEntry,
		"getCaEntry":    s.caEntry,
		"getAllCrl":     s.runtimeCRLs,
		"createCrl":     s.createRuntimeFile(runtime.CRLFile),
		"getCrl":        s.runtimeCRL,
		"replaceCrl":    s.replaceRuntimeFile(runtime.CRLFile),
		"deleteCrl":     s.deleteRuntimeFile(runtime.CRLFile),

		"getAllCrtLists":       s.runtimeLists,
		"getAllCrtListEntries": s.runtimeEntries,
		"addCrtListEntry":      s.addRuntimeEntry,
		"deleteCrtListEntry":   s.deleteRuntimeEntry,
	}
}

// fileName refuses what cannot be the name of a file in a Runtime command, or would mean something else in it.
func fileName(field, name string) error {
	bad := func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(`<>*;$#&{}"'\`, r) }
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, bad) {
		return fail(http.StatusUnprocessableEntity, "%s: %.80q is not a name of a file", field, name)
	}
	return nil
}

// payload refuses an upload that is no text, or larger than the proxy takes.
func payload(kind runtime.Kind, f *upload) error {
	most := maxList
	if kind == runtime.Cert {
		most = maxCert
	}
	switch {
	case len(f.data) > most:
		return fail(http.StatusRequestEntityTooLarge, "%s: the file is larger than %d bytes", uploadPart, most)
	case len(bytes.TrimSpace(f.data)) == 0:
		return fail(http.StatusBadRequest, "%s: the file is empty", uploadPart)
	case bytes.IndexByte(f.data, 0) >= 0:
		return fail(http.StatusBadRequest, "%s: the file is no text; PEM is expected", uploadPart)
	}
	return nil
}

// show asks the proxy what it has of a kind: all of it with no name, else one file, perhaps with the number of a part.
func (s *Server) show(ctx context.Context, kind runtime.Kind, name string) (string, error) {
	c, err := s.client()
	if err != nil {
		return "", err
	}
	return c.ShowSSL(ctx, kind, name)
}

// named reads the name in the path of a request.
func named(r *request) (string, error) { return r.params["name"], fileName("name", r.params["name"]) }

func (s *Server) createRuntimeFile(kind runtime.Kind) handler {
	return func(ctx context.Context, r *request) (int, any, error) {
		if err := fileName("filename of "+uploadPart, r.file.name); err != nil {
			return 0, nil, err
		}
		if err := payload(kind, r.file); err != nil {
			return 0, nil, err
		}
		c, err := s.client()
		if err != nil {
			return 0, nil, err
		}
		// A client that goes away leaves nothing half done.
		return http.StatusCreated, nil, c.NewSSL(context.WithoutCancel(ctx), kind, r.file.name, r.file.data)
	}
}

func (s *Server) replaceRuntimeFile(kind runtime.Kind) handler {
	return func(ctx context.Context, r *request) (int, any, error) {
		name, err := named(r)
		if err == nil {
			err = payload(kind, r.file)
		}
		if err != nil {
			return 0, nil, err
		}
		c, err := s.client()
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, nil, c.SetSSL(context.WithoutCancel(ctx), kind, name, "", r.file.data)
	}
}

func (s *Server) deleteRuntimeFile(kind runtime.Kind) handler {
	return func(ctx context.Context, r *request) (int, any, error) {
		name, err := named(r)
		if err != nil {
			return 0, nil, err
		}
		c, err := s.client()
		if err != nil {
			return 0, nil, err
		}
		return http.StatusNoContent, nil, c.DelSSL(context.WithoutCancel(ctx), kind, name)
	}
}

func (s *Server) runtimeCerts(ctx context.Context, _ *request) (int, any, error) {
	reply, err := s.show(ctx, runtime.Cert, "")
	if err != nil {
		return 0, nil, err
	}
	names, err := runtime.ParseNames(reply)
	list := []runtime.Certificate{}
	for _, name := range names {
		list = append(list, runtime.Certificate{File: name, StorageName: name})
	}
	return http.StatusOK, list, err
}

func (s *Server) runtimeCert(ctx context.Context, r *request) (int, any, error) {
	name, err := named(r)
	if err != nil {
		return 0, nil, err
	}
	reply, err := s.show(ctx, runtime.Cert, name)
	if err != nil {
		return 0, nil, err
	}
	// With ".ocsp" behind the name the proxy shows something else.
	if !strings.HasPrefix(reply, "Filename: ") {
		return 0, nil, fail(http.StatusNotFound, "the proxy has no certificate %q", name)
	}
	list, err := runtime.ParseCertificates(reply)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, list[0], nil
}

func (s *Server) runtimeCAs(ctx context.Context, _ *request) (int, any, error) {
	reply, err := s.show(ctx, runtime.CAFile, "")
	if err != nil {
		return 0, nil, err
	}
	list, err := runtime.ParseAuthorities(reply)
	return http.StatusOK, list, err
}

func (s *Server) runtimeCA(ctx context.Context, r *request) (int, any, error) {
	name, err := named(r)
	if err != nil {
		return 0, nil, err
	}
	reply, err := s.show(ctx, runtime.CAFile, "")
	if err != nil {
		return 0, nil, err
	}
	list, err := runtime.ParseAuthorities(reply)
	if err != nil {
		return 0, nil, err
	}
	for _, a := range list {
		if a.StorageName == name {
			return http.StatusOK, a, nil
		}
	}
	return 0, nil, fail(http.StatusNotFound, "the proxy has no CA file %q", name)
}

func (s *Server) caEntry(ctx context.Context, r *request) (int, any, error) {
	name, err := named(r)
	if err != nil {
		return 0, nil, err
	}
	index := r.index()
	if index > 0 {
		reply, err := s.show(ctx, runtime.CAFile, fmt.Sprint(name, ":", index))
		if err != nil {
			return 0, nil, err
		}
		list, err := runtime.ParseCertificates(reply)
		if err != nil {
			return 0, nil, err
		}
		// Some versions answer with the head of the file alone.
		if len(list) > 0 && list[0].Serial != "" {
			return http.StatusOK, list[0], nil
		}
	}
	return 0, nil, fail(http.StatusNotFound, "CA file %q has no certificate %d; the first one is 1", name, index)
}

// addCAEntry answers with the certificate as the proxy shows it, which is found by its fingerprint.
func (s *Server) addCAEntry(ctx context.Context, r *request) (int, any, error) {
	name, err := named(r)
	if err == nil {
		err = payload(runtime.CAFile, r.file)
	}
	if err != nil {
		return 0, nil, err
	}
	block, rest := pem.Decode(r.file.data)
	for block != nil && block.Type != "CERTIFICATE" {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return 0, nil, fail(http.StatusBadRequest, "%s: there is no certificate in PEM", uploadPart)
	}
	c, err := s.client()
	if err != nil {
		return 0, nil, err
	}
	ctx = context.WithoutCancel(ctx)
	if err := c.AppendCA(ctx, name, r.file.data); err != nil {
		return 0, nil, err
	}
	reply, err := s.show(ctx, runtime.CAFile, name)
	if err != nil {
		return 0, nil, err
	}
	list, err := runtime.ParseCertificates(reply)
	if err != nil {
		return 0, nil, err
	}
	finger := fmt.Sprintf("%X", sha1.Sum(block.Bytes))
	for _, x := range list {
		if strings.EqualFold(x.SHA1, finger) {
			return http.StatusCreated, x, nil
		}
	}
	return 0, nil, fmt.Errorf("the certificate %s is not in the CA file %q after it was added", finger, name)
}

func (s *Server) runtimeCRLs(ctx context.Context, _ *request) (int, any, error) {
	reply, err := s.show(ctx, runtime.CRLFile, "")
	if err != nil {
		return 0, nil, err
	}
	names, err := runtime.ParseNames(reply)
	list := []map[string]string{}
	for _, name := range names {
		list = append(list, map[string]string{"file": name, "storage_name": name})
	}
	return http.StatusOK, list, err
}

func (s *Server) runtimeCRL(ctx context.Context, r *request) (int, any, error) {
	name, err := named(r)
	if err != nil {
		return 0, nil, err
	}
	what := name
	index := r.query.Get("index")
	if index != "" {
		what += ":" + index
	}
	reply, err := s.show(ctx, runtime.CRLFile, what)
	if err != nil {
		return 0, nil, err
	}
	list, err := runtime.ParseRevocationLists(reply)
	if err == nil && index != "" && len(list) == 0 {
		err = fail(http.StatusNotFound, "CRL file %q has no list %s; the first one is 1", name, index)
	}
	return http.StatusOK, list, err
}
