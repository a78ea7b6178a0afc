// Command fetch extracts the files of GraphiQL from npm packages for go generate. It knows the packages, their versions
// and their hashes. If npm is missing or cannot download them, it reports that, and the playground remains the
// hand-written console.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// npmPackage is one package: the archive that npm packs must have this hash, wherever it comes from.
type npmPackage struct {
	name, integrity string
	// files maps the files of the package to their names here.
	files map[string]string
}

// npmPackages are the last line of GraphiQL with files that a browser can load directly, and the React version that it
// was built for. All are under the MIT license, whose texts are copied with them.
var npmPackages = []npmPackage{
	{
		"graphiql@4.1.2", "sha512-rNlzQIAzm6i2KBXmVQWBgLvt0TloxFVB2d18bukvdsvjEuFDHsKx5IVOomL1W1o5WW+tE54+ioHb2AEKzO2cUg==",
		map[string]string{"graphiql.min.js": "graphiql.js", "graphiql.min.css": "graphiql.css"},
	},
	{
		"@graphiql/plugin-explorer@4.0.6", "sha512-TppIi92YPER3v70nlF01KTQrq9AiYqkZicSd1hpU7aqGmbqw/pLwBNLUEcfENBoJtw574Qxjswb01+GaYK0Tzw==",
		map[string]string{"dist/index.umd.js": "explorer.js", "dist/style.css": "explorer.css"},
	},
	{
		"react@18.2.0", "sha512-/3IjMdb2L9QbBdWiW5e3P2/npwMBaU9mHCSCUzNln0ZCYbcfTsGbTJrU/kGemdH2IWmB2ioZ+zkxtmq6g09fGQ==",
		map[string]string{"umd/react.production.min.js": "react.js"},
	},
	{
		"react-dom@18.2.0", "sha512-6IMTriUmvsjHUjNtEDudZfuDQUoWXVxKHhlEGSk81n4YFS+r/Kl99wXiwlVXtPBtJenozv2P+hxDsw9eA7Xo6g==",
		map[string]string{"umd/react-dom.production.min.js": "react-dom.js"},
	},
}

// licenses is the file with the license of each package. It is written last: if it exists, the directory is complete.
const licenses = "LICENSES.txt"

// maxFile is the maximum size of a file; the largest has one megabyte.
const maxFile = 8 << 20

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: fetch FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], npm); err != nil {
		fmt.Fprintln(os.Stderr, "GraphiQL:", err)
		os.Exit(1)
	}
}

var errNoNpm = errors.New("npm is not installed")

// npm packs packages into a directory. It does not run scripts of the packages.
func npm(folder string, names ...string) error {
	if _, err := exec.LookPath("npm"); err != nil {
		return errNoNpm
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(
		ctx,
		"npm",
		append(
			[]string{"pack", "--ignore-scripts", "--silent", "--pack-destination", folder},
			names...)...) //nolint:gosec // names from the list above
	cmd.Dir, cmd.Stderr = folder, os.Stderr
	return cmd.Run()
}

// run fills the directory, unless it contains exactly these packages.
func run(folder string, pack func(folder string, names ...string) error) error {
	names, want := make([]string, 0, len(npmPackages)), ""
	for _, p := range npmPackages {
		names = append(names, p.name)
		want += p.name + " " + p.integrity + "\n"
	}
	have, err := os.ReadFile(filepath.Join(folder, licenses)) //nolint:gosec // our own folder
	if err == nil && strings.HasPrefix(string(have), want) {
		return nil
	}
	parcelFolder, err := os.MkdirTemp("", "gatehouse-graphiql-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(parcelFolder) }()
	switch err := pack(parcelFolder, names...); {
	case errors.Is(err, errNoNpm):
		fmt.Println("GraphiQL: npm is not installed, so the playground is the console; nothing was changed.")
		return nil
	case err != nil: // no network: a developer can continue to work offline, and the tests of the continuous integration report it
		fmt.Printf("GraphiQL: npm cannot bring %s (%v); nothing was changed.\n", strings.Join(names, ", "), err)
		return nil
	}
	files := map[string][]byte{}
	texts := want
	for _, p := range npmPackages {
		license, err := p.open(parcelFolder, files)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		texts += "\n==== " + p.name + "\n\n" + license
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // part of the source tree, like its neighbours
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil { //nolint:gosec // the same
			return err
		}
	}
	return os.WriteFile(filepath.Join(folder, licenses), []byte(texts), 0o644) //nolint:gosec // the same
}

// open verifies a packed package, adds its files to files, and returns the license.
func (p npmPackage) open(folder string, files map[string][]byte) (string, error) {
	at := strings.LastIndex(p.name, "@")
	file := strings.ReplaceAll(strings.TrimPrefix(p.name[:at], "@"), "/", "-") + "-" + p.name[at+1:] + ".tgz"
	packed, err := os.ReadFile(filepath.Join(folder, file)) //nolint:gosec // a name from the list above
	if err != nil {
		return "", err
	}
	sum := sha512.Sum512(packed)
	if have := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); have != p.integrity {
		return "", fmt.Errorf("its content is %s, and %s is expected", have, p.integrity)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	license := "MIT license, as GraphiQL's.\n" // the explorer is in the same repository and has no license file of its own
	copied := 0
	for archive := tar.NewReader(unzipped); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		path := strings.TrimPrefix(entry.Name, "package/")
		name := p.files[path]
		if name == "" && path != "LICENSE" {
			continue
		}
		content, err := io.ReadAll(io.LimitReader(archive, maxFile))
		if err != nil {
			return "", err
		}
		if name == "" {
			license = string(content)
			continue
		}
		files[name] = withoutMap(content)
		copied++
	}
	if copied != len(p.files) {
		return "", fmt.Errorf("%d of %d files are in it", copied, len(p.files))
	}
	return license, nil
}

// withoutMap removes the line that refers a browser's debugger to a source map, which is not copied.
func withoutMap(content []byte) []byte {
	at := bytes.LastIndex(content, []byte("\n//# sourceMappingURL="))
	if at >= 0 && !bytes.Contains(bytes.TrimSpace(content[at:]), []byte("\n")) {
		return content[:at+1]
	}
	return content
}
