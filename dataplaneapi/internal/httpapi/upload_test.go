package httpapi

import (
	"errors"
	"testing"
)

func TestReadUpload(t *testing.T) {
	const ct = `multipart/form-data; boundary=b`
	part := func(head, body string) string {
		return "--b\r\nContent-Disposition: form-data; " + head + "\r\n\r\n" + body + "\r\n"
	}
	for _, c := range []struct {
		ct, body   string
		name, data string
		code       int
	}{
		{ct: ct, body: part(`name="file_upload"; filename="/etc/a b.pem"`, "x\ny\n") + "--b--\r\n", name: "/etc/a b.pem", data: "x\ny\n"},
		{ct: ct, body: part(`name="file_upload"`, "x") + "--b--", data: "x"},
		{ct: ct, body: part(`name="file_upload"`, "x") + part(`name="file_upload"`, "y") + "--b--", code: 422},
		{ct: ct, body: part(`name="other"`, "x") + "--b--", code: 422},
		{ct: ct, body: "--b--\r\n", code: 422},
		{ct: ct, body: part(`name="file_upload"`, "x"), code: 400}, // not to its end
		{ct: ct, body: "", code: 422},
		{ct: ct, body: "zork", code: 422},
		{ct: `multipart/form-data`, body: "x", code: 400},
		{ct: `application/json`, body: "{}", code: 415},
		{ct: ``, body: "x", code: 415},
		{ct: `multipart/form-data; boundary="`, body: "x", code: 415},
	} {
		got, err := readUpload(c.ct, []byte(c.body))
		if c.code != 0 {
			var e *Error
			if !errors.As(err, &e) || e.Code != c.code {
				t.Errorf("%q %q: %v, want a %d", c.ct, c.body, err, c.code)
			}
			continue
		}
		if err != nil || got.name != c.name || string(got.data) != c.data {
			t.Errorf("%q: %+v, %v", c.body, got, err)
		}
	}
}

func FuzzReadUpload(f *testing.F) {
	f.Add("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"file_upload\"; filename=\"a\"\r\n\r\nx\r\n--b--")
	f.Fuzz(func(t *testing.T, ct, body string) {
		file, err := readUpload(ct, []byte(body))
		if (file == nil) == (err == nil) {
			t.Errorf("%+v, %v", file, err)
		}
	})
}
