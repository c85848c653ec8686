package main

import "testing"

// The samples of records of three releases.
func TestRecordsAreByteForByteThoseOfTheirReleases(t *testing.T) {
	const lease = 7587877113951227853
	for _, sample := range []struct{ release, role, address, want string }{
		{"2.2.3", "rootcoord", "10.0.0.5:53100", `{"ServerID":15,"ServerName":"rootcoord","Address":"10.0.0.5:53100",` +
			`"Exclusive":true,"TriggerKill":true,"Version":"2.2.3-pre+dev"}`},
		{"2.4.0", "rootcoord", "10.0.0.5:53100", `{"ServerID":15,"ServerName":"rootcoord","Address":"10.0.0.5:53100",` +
			`"Exclusive":true,"TriggerKill":true,"Version":"2.4.0","IndexEngineVersion":{},` +
			`"LeaseID":7587877113951227853,"HostName":"h1"}`},
		{"2.6.15", "mixcoord", "10.0.0.5:22125", `{"ServerID":15,"ServerName":"mixcoord","Address":"10.0.0.5:22125",` +
			`"Exclusive":true,"TriggerKill":true,"Version":"2.6.15","IndexEngineVersion":{},"ScalarIndexEngineVersion":{},` +
			`"LeaseID":7587877113951227853,"HostName":"h1"}`},
		{"3.0.0-beta", "mixcoord", "10.0.0.5:22125", `{"ServerID":15,"ServerName":"mixcoord","Address":"10.0.0.5:22125",` +
			`"Exclusive":true,"Version":"3.0.0-beta","IndexEngineVersion":{},"ScalarIndexEngineVersion":{},` +
			`"LeaseID":7587877113951227853,"HostName":"h1"}`},
	} {
		got := newRecord(known(t, sample.release), sample.role, sample.address, "h1", 15, lease).encode()
		if got != sample.want {
			t.Errorf("%s:\n%s, not\n%s", sample.release, got, sample.want)
		}
	}
}

func TestRecordsAreReadWithoutRegardToCaseAndToUnknownNames(t *testing.T) {
	r, err := decodeRecord([]byte(`{"serverid":3,"ADDRESS":"a:1","LeaseID":7,"Coordha":{"SessionID":"00"},"Version":""}`))
	if err != nil || r.ServerID != 3 || r.Address != "a:1" || r.LeaseID != 7 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAnUnreadableRecordIsAnError(t *testing.T) {
	for _, value := range []string{
		``, `12`, `[]`, `{"ServerID":"15"}`, `{"Version":"v2.2.3"}`, `{"Version":"2.2"}`, `{"Version":"2.02.3"}`,
	} {
		if r, err := decodeRecord([]byte(value)); err == nil {
			t.Errorf("%s is read as %+v", value, r)
		}
	}
}
