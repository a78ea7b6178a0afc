// Package docs holds the pages of this folder, so that the playground can show them. It knows files and nothing else.
package docs

import "embed"

// Pages are the Markdown files and what lies beside them.
//
//go:embed *
var Pages embed.FS
