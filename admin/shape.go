package admin

import (
	_ "embed"
	"strings"
)

// recordedShapes is what each command has written with --json in the script tests, as shapes; a test keeps it so.
//
//go:embed shapes.txt
var recordedShapes string

// jsonShapes gives for each command, as "user add", the shape of its JSON.
func jsonShapes() map[string]string {
	shapes := map[string]string{}
	for block := range strings.SplitSeq(strings.TrimSpace(recordedShapes), "\n\n") {
		name, shape, _ := strings.Cut(block, "\n")
		shapes[strings.TrimSuffix(name, ":")] = shape
	}
	return shapes
}
