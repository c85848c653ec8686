//go:build cgo

package coordha_test

import (
	"fmt"
	"strings"
	"testing"

	"coordha.test/coordha"
)

func TestMetricsShowWhoIsActiveAndForHowLongASessionWasThere(t *testing.T) {
	onEachStore(t, func(t *testing.T, base coordha.Config) {
		base.Role = "metered"
		labels := fmt.Sprintf("{role=%q,root=%q} ", base.Role, base.Root)
		session := start(t, base)
		done := run(session, serve)
		ok(t, session.Wait(within(t), coordha.UntilActive))
		text := coordha.MetricsText()
		for _, line := range []string{
			"coordha_session_active" + labels + "1", "# TYPE coordha_renewal_duration_seconds histogram",
			fmt.Sprint("coordha_session_fencing_token", labels, session.FencingToken()),
		} {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("no line %q in\n%s", line, text)
			}
		}
		ok(t, session.Stop(within(t)))
		ok(t, receive(t, "the end", done))
		ok(t, session.Close())
		if text = coordha.MetricsText(); strings.Contains(text, "coordha_session_active"+labels) ||
			!strings.Contains(text, "coordha_terms_begun_total"+labels+"1\n") {
			t.Error(text)
		}
	})
}
