package main

import (
	"encoding/json"
	"fmt"
	"regexp"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// record is the value of a session's keys. What a release does not write is nil.
type record struct {
	ServerID                 int64             `json:"ServerID,omitempty"`
	ServerName               string            `json:"ServerName,omitempty"`
	Address                  string            `json:"Address,omitempty"`
	Exclusive                bool              `json:"Exclusive,omitempty"`
	Stopping                 bool              `json:"Stopping,omitempty"`
	TriggerKill              *bool             `json:"TriggerKill,omitempty"`
	Version                  string            `json:"Version"`
	IndexEngineVersion       *indexEngine      `json:"IndexEngineVersion,omitempty"`
	ScalarIndexEngineVersion *indexEngine      `json:"ScalarIndexEngineVersion,omitempty"`
	LeaseID                  int64             `json:"LeaseID,omitempty"`
	HostName                 string            `json:"HostName,omitempty"`
	ServerLabels             map[string]string `json:"ServerLabels,omitempty"`
}

// indexEngine is empty in the records of coordinators.
type indexEngine struct {
	MinimalIndexVersion int32 `json:"MinimalIndexVersion,omitempty"`
	CurrentIndexVersion int32 `json:"CurrentIndexVersion,omitempty"`
}

// newRecord is the record of a coordinator, as its release writes it.
func newRecord(f facts, role, address, hostName string, id int64, lease clientv3.LeaseID) record {
	r := record{ServerID: id, ServerName: role, Address: address, Exclusive: true, Version: f.recordVersion}
	if f.triggerKill {
		kill := true
		r.TriggerKill = &kill
	}
	if f.indexEngineVersion {
		r.IndexEngineVersion = &indexEngine{}
	}
	if f.scalarIndexEngineVersion {
		r.ScalarIndexEngineVersion = &indexEngine{}
	}
	if f.leaseID {
		r.LeaseID = int64(lease)
	}
	if f.hostName {
		r.HostName = hostName
	}
	return r
}

func (r record) encode() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// strictVersion is what a record's Version must be, where it is not empty.
var strictVersion = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)` +
	`(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

// decodeRecord reads a record as Milvus does: unknown names are ignored, wrong types are not.
func decodeRecord(value []byte) (record, error) {
	var r record
	if err := json.Unmarshal(value, &r); err != nil {
		return r, err
	}
	if r.Version != "" && !strictVersion.MatchString(r.Version) {
		return r, fmt.Errorf("the version %q is no X.Y.Z", r.Version)
	}
	return r, nil
}
