package admin

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

func (c *call) versionCommand(ctx context.Context) *cli.Command {
	return c.verb(ctx, &cli.Command{Name: "version", Usage: "say which version this is",
		Description: "With --json, also the revision it was built from, where that is known, and the version of Go.",
		UsageText:   "mailctl version\nmailctl version --json"}, 0, 0, showVersion)
}

// versionView is the version in JSON.
type versionView struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
}

func showVersion(_ context.Context, c *call) error {
	v := versionView{Version: versionText(), Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	if c.form() == formJSON {
		return c.object(v)
	}
	_, err := fmt.Fprintf(c.out, "mailctl %s\n", v.Version)
	return err
}

// versionText is the version as it is written into what others read later.
func versionText() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
