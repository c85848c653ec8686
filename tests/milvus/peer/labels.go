package main

import (
	"maps"
	"strings"
)

// labelPrefix is what the names of the variables begin with that make the labels of a record.
const labelPrefix = "MILVUS_SERVER_LABEL_"

// labelRoles are the first words of labels for one role alone, and which role that is. All others are everybody's.
var labelRoles = map[string]string{
	"mixcoord": "mixcoord", "coord": "mixcoord", "proxy": "proxy",
	"querynode": "querynode", "qn": "querynode", "datanode": "datanode", "dn": "datanode",
	"streamingnode": "streamingnode", "sn": "streamingnode",
}

// serverLabels are the labels of a role in an environment. One for the role alone comes before everybody's of that name.
func serverLabels(role string, environment []string) map[string]string {
	labels, own := map[string]string{}, map[string]string{}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		label, found := strings.CutPrefix(name, labelPrefix)
		if !found || label == "" {
			continue
		}
		word, rest, longer := strings.Cut(label, "_")
		switch of := labelRoles[strings.ToLower(word)]; {
		case of == "":
			labels[label] = value
		case of == role && longer:
			own[rest] = value
		}
	}
	maps.Copy(labels, own)
	return labels
}
