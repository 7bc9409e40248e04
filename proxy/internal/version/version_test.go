package version

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestVersion(t *testing.T) {
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(Number()) {
		t.Errorf("number %q", Number())
	}
	// A semantic version whose part that counts is exactly the release.
	if m := regexp.MustCompile(`^(\d+\.\d+\.\d+)\+[0-9A-Za-z.-]+$`).FindStringSubmatch(Full()); m == nil || m[1] != Compatible {
		t.Errorf("full %q", Full())
	}
	if Branch() != "3.4" {
		t.Errorf("branch %q", Branch())
	}
	for _, d := range []string{Date(), strings.TrimSpace(date)} {
		if _, err := time.Parse("2006/01/02", d); err != nil {
			t.Errorf("date: %v", err)
		}
	}
}
