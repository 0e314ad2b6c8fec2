// Command fetch copies the Datastar client out of the Go module cache into
// the folder it is run in, and refuses anything but the exact bytes we know.
// `go generate` runs it; the copy is not committed.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	module = "github.com/starfederation/datastar@v1.0.2"
	bundle = "bundles/datastar.js"
	target = "datastar.js"
	sum    = "2837d87acf6ee0ba8e4e63765926c25a98d63883b02f88be194a86b81d3fd24a" // SHA-256
)

func main() {
	if err := fetch(); err != nil {
		fmt.Fprintln(os.Stderr, "fetch the Datastar client:", err)
		os.Exit(1)
	}
}

func fetch() error {
	if have, err := os.ReadFile(target); err == nil && sumOf(have) == sum {
		return nil
	}
	download := exec.Command("go", "mod", "download", "-json", module)
	download.Dir = os.TempDir() // the client is no part of our own module's graph
	download.Stderr = os.Stderr
	out, err := download.Output()
	var got struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil || got.Error != "" || err != nil {
		return fmt.Errorf("download %s: %v %s", module, err, got.Error)
	}
	js, err := os.ReadFile(filepath.Join(got.Dir, bundle))
	if err != nil {
		return err
	}
	if have := sumOf(js); have != sum {
		return fmt.Errorf("%s of %s has SHA-256 %s, not the expected %s", bundle, module, have, sum)
	}
	return os.WriteFile(target, js, 0o644)
}

func sumOf(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
