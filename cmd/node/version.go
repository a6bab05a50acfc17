package main

import (
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"frostfed/crypto/bip445"
	"frostfed/crypto/chilldkg"
)

// versionResult is the JSON of version.
type versionResult struct {
	Version  string `json:"version"`  // of the module, or (devel)
	Revision string `json:"revision"` // of the source; empty if the build does not know
	Modified bool   `json:"modified"` // the source had changes besides
	Go       string `json:"go"`
	BIP445   string `json:"bip445"`   // draft implemented
	ChillDKG string `json:"chilldkg"` // draft implemented
}

func buildVersion() versionResult {
	v := versionResult{Version: "(devel)", BIP445: bip445.Version, ChillDKG: chilldkg.Version}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Go = info.GoVersion
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of the program and of the drafts it implements",
		Long:    "Print the version of the program and of the drafts it implements.\n\nJSON: version, revision, modified, go, bip445, chilldkg.",
		Example: "  frostfed version --json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			revision := short(v.Revision)
			if v.Modified {
				revision += " with changes"
			}
			return a.show(v, func(w io.Writer) {
				fields(w, [][2]string{{"frostfed", v.Version}, {"revision", revision}, {"go", v.Go},
					{"BIP 445", "draft " + v.BIP445}, {"ChillDKG", "draft " + v.ChillDKG}})
			})
		},
	}
}
