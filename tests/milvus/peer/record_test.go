package main

import (
	"maps"
	"testing"
)

// The samples of records of three releases.
func TestRecordsAreByteForByteThoseOfTheirReleases(t *testing.T) {
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
		if got := recordOf(t, sample.release, sample.role, sample.address); got != sample.want {
			t.Errorf("%s:\n%s, not\n%s", sample.release, got, sample.want)
		}
	}
}

// recordOf is what a session without labels writes.
func recordOf(t *testing.T, release, role, address string, labels ...string) string {
	t.Helper()
	s := session{
		facts: known(t, release), role: role, address: address, hostName: "h1", id: 15, lease: 7587877113951227853,
		labels: serverLabels(role, labels),
	}
	return s.record().encode()
}

func TestLabelsOfTheEnvironmentStandInTheRecordOfTheReleasesThatWriteThem(t *testing.T) {
	const start = `{"ServerID":15,"ServerName":"mixcoord","Address":"10.0.0.5:22125","Exclusive":true,"TriggerKill":true,`
	const middle = `"IndexEngineVersion":{},"ScalarIndexEngineVersion":{},"LeaseID":7587877113951227853,"HostName":"h1"`
	for _, sample := range []struct{ release, labels string }{
		{"2.6.6", ""},
		{"2.6.7", `,"ServerLabels":{"RACK":"b","ZONE":"a"}`},
	} {
		want := start + `"Version":"` + sample.release + `",` + middle + sample.labels + "}"
		got := recordOf(t, sample.release, "mixcoord", "10.0.0.5:22125",
			"HOME=/", "MILVUS_SERVER_LABEL_ZONE=a", "MILVUS_SERVER_LABEL_MIXCOORD_RACK=b")
		if got != want {
			t.Errorf("%s:\n%s, not\n%s", sample.release, got, want)
		}
	}
}

func TestALabelOfTheRoleAloneComesBeforeEverybodysAndThoseOfOtherRolesAreNotSeen(t *testing.T) {
	got := serverLabels("mixcoord", []string{
		"MILVUS_SERVER_LABEL_coord_ZONE=own", "MILVUS_SERVER_LABEL_ZONE=everybody's", "MILVUS_SERVER_LABEL_RESOURCE_GROUP=r=1",
		"MILVUS_SERVER_LABEL_QUERYNODE_ZONE=theirs", "MILVUS_SERVER_LABEL_dn_DISK=theirs", "MILVUS_SERVER_LABEL_PROXY=no label",
		"MILVUS_SERVER_LABEL_=no name", "MILVUS_SERVER_ZONE=another variable",
	})
	if want := map[string]string{"ZONE": "own", "RESOURCE_GROUP": "r=1"}; !maps.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
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
