package domain

import "strings"

// The names in a user agent, most specific first: each browser also claims to be some of those below it.
var (
	browsers = [][2]string{
		{"Edg/", "Edge"},
		{"EdgA/", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
	}
	systems = [][2]string{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"Windows", "Windows"},
		{"CrOS", "ChromeOS"},
		{"Mac OS X", "macOS"},
		{"Macintosh", "macOS"},
		{"Linux", "Linux"},
	}
)

// DeviceName returns a readable name for a user agent, such as "Firefox on Windows".
func DeviceName(userAgent string) string {
	named := func(words [][2]string) string {
		for _, w := range words {
			if strings.Contains(userAgent, w[0]) {
				return w[1]
			}
		}
		return ""
	}
	browser, system := named(browsers), named(systems)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case system != "":
		return system
	}
	// An application names itself first: "BankApp/3.1 (build 7)".
	name, _, _ := strings.Cut(userAgent, "/")
	name, _, _ = strings.Cut(name, "(")
	if name = strings.TrimSpace(name); name != "" && len(name) <= 64 {
		return name
	}
	return "Unknown device"
}
