// Command fetch takes the files of GraphiQL from npm packages, for go generate. It knows which packages, of which
// version and with which content; where npm is missing or cannot bring them it says so, and the playground stays what it was: the hand-written console.
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

// parcel is one package: what npm packs under its name must have this content, whoever it came from.
type npmPackage struct {
	name, integrity string
	// take are the files of the package and the names they get here.
	files map[string]string
}

// parcels are the last line of GraphiQL with files that a browser loads as they are, and the React that it was built
// for. All are under the MIT license, whose texts go with them.
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

// licenses is the file with the license of each package, and the last that is written: with it the folder is whole.
const licenses = "LICENSES.txt"

// maxFile bounds a file that is taken: the largest has one megabyte.
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

// npm packs packages into a folder. No script of a package runs.
func npm(folder string, names ...string) error {
	if _, err := exec.LookPath("npm"); err != nil {
		return errNoNpm
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", append([]string{"pack", "--ignore-scripts", "--silent", "--pack-destination", folder}, names...)...) //nolint:gosec // names from the list above
	cmd.Dir, cmd.Stderr = folder, os.Stderr
	return cmd.Run()
}

// run fills the folder, unless it holds these very packages already.
func run(folder string, pack func(folder string, names ...string) error) error {
	names, want := make([]string, 0, len(npmPackages)), ""
	for _, p := range npmPackages {
		names = append(names, p.name)
		want += p.name + " " + p.integrity + "\n"
	}
	if have, err := os.ReadFile(filepath.Join(folder, licenses)); err == nil && strings.HasPrefix(string(have), want) { //nolint:gosec // our own folder
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
	case err != nil: // no network: a developer on the road goes on working, and the continuous integration's tests tell
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

// open checks a packed package and adds the wanted files; it gives the license.
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
	license := "MIT license, as GraphiQL's.\n" // the explorer is of the same repository and has no file of its own
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

// withoutMap cuts the line that sends a browser's debugger to a source map, which is not taken.
func withoutMap(content []byte) []byte {
	if at := bytes.LastIndex(content, []byte("\n//# sourceMappingURL=")); at >= 0 && !bytes.Contains(bytes.TrimSpace(content[at:]), []byte("\n")) {
		return content[:at+1]
	}
	return content
}
