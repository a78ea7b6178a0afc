// Gatehouse is a self-hosted identity-lifecycle service for digital banking.
package main

import (
	"os"

	"github.com/gatehouse/gatehouse/cli"
)

func main() { os.Exit(cli.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
