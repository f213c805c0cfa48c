package appliance

import (
	"reflect"

	"maild/appliance/config"
)

// needRestart names the keys that differ and that a running daemon cannot take
// over: its sockets, its user and its files are what they are.
func needRestart(old, new config.Config) []string {
	var keys []string
	for _, k := range []struct {
		name     string
		old, new any
	}{
		{"data_dir", old.DataDir, new.DataDir},
		{"user", old.User, new.User},
		{"listen", old.Listen, new.Listen},
		{"index.headers", old.Index.Headers, new.Index.Headers},
		{"index.body", old.Index.Body, new.Index.Body},
		{"log.format", old.Log.Format, new.Log.Format},
	} {
		if !reflect.DeepEqual(k.old, k.new) {
			keys = append(keys, k.name)
		}
	}
	return keys
}
