// Package stories holds the tests that drive the built program from outside, as its users do: commands, GraphQL, REST,
// pages, mails and signals. It knows what is documented, and nothing of how the program is made.
package stories
