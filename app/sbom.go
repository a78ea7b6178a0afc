package app

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/gatehouse/gatehouse/pages"
)

// Bill is a software bill of materials: CycloneDX 1.6, JSON, with the members that apply.
type Bill struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   billAbout   `json:"metadata"`
	Components []Component `json:"components"`
}

type billAbout struct {
	Component Component `json:"component"`
}

// Component is the program or a component that is built into it.
type Component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	PURL    string `json:"purl"`
	Hashes  []Hash `json:"hashes,omitempty"`
}

// Hash is a hash of a component's content in hexadecimal. For a Go module it is the checksum in go.sum (over the hashes
// of its files), as in other SBOM tools.
type Hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

// Materials lists the components of the running binary: what the linker recorded in it, with the Go version, and the
// packages whose files are embedded.
func Materials() (*Bill, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, errors.New("the binary contains no list of modules")
	}
	return materials(info, pages.Packages()), nil
}

func materials(info *debug.BuildInfo, parcels []pages.Package) *Bill {
	b := &Bill{Format: "CycloneDX", Spec: "1.6", Version: 1}
	b.Metadata.Component = component("application", "golang", info.Main.Path, Build().Version)
	b.Components = append(b.Components, component("library", "golang", "std", strings.TrimPrefix(info.GoVersion, "go")))
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		c := component("library", "golang", dep.Path, dep.Version)
		c.Hashes = hashesOf("SHA-256", strings.TrimPrefix(dep.Sum, "h1:"))
		b.Components = append(b.Components, c)
	}
	for _, p := range parcels {
		c := component("library", "npm", p.Name, p.Version)
		c.Hashes = hashesOf("SHA-512", strings.TrimPrefix(p.Integrity, "sha512-"))
		b.Components = append(b.Components, c)
	}
	return b
}

// component returns a component with its package URL: pkg:golang/path@version, with the scope of an npm package
// escaped.
func component(of, kind, name, version string) Component {
	purl := "pkg:" + kind + "/" + strings.ReplaceAll(name, "@", "%40")
	if version != "" {
		purl += "@" + url.PathEscape(version)
	}
	return Component{Type: of, Ref: purl, Name: name, Version: version, PURL: purl}
}

// hashesOf returns a hash recorded in Base64; none if there is no record.
func hashesOf(alg, noted string) []Hash {
	raw, err := base64.StdEncoding.DecodeString(noted)
	if err != nil || len(raw) == 0 {
		return nil
	}
	return []Hash{{Alg: alg, Content: hex.EncodeToString(raw)}}
}
