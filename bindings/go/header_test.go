//go:build cgo

package coordha_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"coordha.test/coordha"
)

// header is the C header that the package is built with.
func header(t testing.TB) string {
	t.Helper()
	folder, err := exec.Command("pkg-config", "--variable=includedir", "coordha").Output()
	ok(t, err)
	text, err := os.ReadFile(strings.TrimSpace(string(folder)) + "/coordha.h")
	ok(t, err)
	return string(text)
}

// defines are the numbers of the header whose names begin so, without that beginning.
func defines(t testing.TB, begin string) map[string]int32 {
	t.Helper()
	found := map[string]int32{}
	for _, match := range regexp.MustCompile(`(?m)^#define `+begin+`(\w+) (\d+)$`).FindAllStringSubmatch(header(t), -1) {
		number, err := strconv.ParseInt(match[2], 10, 32)
		ok(t, err)
		found[match[1]] = int32(number)
	}
	if len(found) == 0 {
		t.Fatalf("the header has no %s", begin)
	}
	return found
}

func headerKeys(t testing.TB) (keys []string) {
	t.Helper()
	for _, match := range regexp.MustCompile(`(?m)^#define HA_KEY_\w+ "(.*)"$`).FindAllStringSubmatch(header(t), -1) {
		keys = append(keys, match[1])
	}
	return keys
}

func TestEveryConstantOfTheHeaderIsHere(t *testing.T) {
	for name, number := range defines(t, "HA_ERR_") {
		if said := coordha.Code(number).String(); said != name {
			t.Errorf("code %d is %s, not %s", number, said, name)
		}
	}
	for name, number := range defines(t, "HA_EVENT_") {
		if said := coordha.EventKind(number).String(); said != name {
			t.Errorf("event %d is %s, not %s", number, said, name)
		}
	}
	for name, number := range defines(t, "HA_REASON_") {
		if said := coordha.Reason(number).String(); said != name {
			t.Errorf("reason %d is %s, not %s", number, said, name)
		}
	}
	for name, number := range defines(t, "HA_ROLE_") {
		if said := coordha.Role(number).String(); said != name {
			t.Errorf("role %d is %s, not %s", number, said, name)
		}
	}
	source, err := os.ReadFile("keys.go")
	ok(t, err)
	for _, key := range headerKeys(t) {
		if !strings.Contains(string(source), `= "`+key+`"`) {
			t.Errorf("keys.go has no %s", key)
		}
	}
	if keys := strings.Count(string(source), "\tKey"); keys != len(headerKeys(t)) {
		t.Errorf("keys.go has %d keys, the header %d", keys, len(headerKeys(t)))
	}
}

func TestNumbersOfALaterLibraryHaveNames(t *testing.T) {
	for said, wanted := range map[string]string{
		coordha.EventKind(77).String(): "77", coordha.Reason(77).String(): "77", coordha.Role(77).String(): "77",
		coordha.Code(77).String(): "UNKNOWN", coordha.Code(10001).String(): "APPLICATION",
		coordha.ErrFenced.Error(): "coordha: FENCED (301)",
	} {
		if said != wanted {
			t.Errorf("%q, not %q", said, wanted)
		}
	}
}
