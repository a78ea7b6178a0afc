package cli

import (
	"encoding/json"

	"github.com/gatehouse/gatehouse/app"
)

type sbomCommand struct{}

// Help returns the example shown by --help.
func (sbomCommand) Help() string {
	return "Example:\n\n  gatehouse sbom > gatehouse.cdx.json\n\n" +
		"CycloneDX 1.6 in JSON: every module built into this binary, with version and hash."
}

// Run prints the bill of materials of the running binary.
func (sbomCommand) Run(r *run) error {
	bill, err := app.Materials()
	if err != nil {
		return err
	}
	out := json.NewEncoder(r.stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(bill)
}
