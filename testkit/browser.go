package testkit

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Browser starts a headless Chromium of its own for the test, with a fresh profile and no other host than the
// test's, and ends it with the test. Without a Chromium the test is skipped; where GATEHOUSE_TEST_REQUIRE names
// chromium, it fails.
func Browser(t *testing.T) context.Context {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		Without(t, "chromium", "no such program")
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
		// Whatever a page asks of another host fails at once.
		chromedp.WSURLReadTimeout(time.Minute), // a busy machine starts it slowly
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	ctx, endProgram := chromedp.NewExecAllocator(ctx, options...)
	ctx, endTab := chromedp.NewContext(ctx)
	// It starts here: a browser that never started cannot be ended, and a test may fail before it asks for a page.
	if err := chromedp.Run(ctx); err != nil {
		endProgram()
		cancel()
		t.Fatalf("chromium does not start: %v", err)
	}
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits, so that the profile can be removed
		endTab()
		endProgram()
		cancel()
	})
	return ctx
}
