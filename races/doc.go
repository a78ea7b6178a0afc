// Package races holds the evidence that the product keeps its promises when many callers act at once, whatever comes
// over the wire, and whoever looks at what it leaves behind. It has tests only, and they drive the built program from
// outside, as its users do.
//
// Histories: parallel calls on one record are recorded with the time of each call and each answer, and checked against
// a model that does one thing after another (linearizability). The models are written from the API's contract and
// know nothing of the product's tables. Walks: a random sequence of calls goes through every life cycle, through
// GraphQL and REST, and after every step all doors are compared with the model. Oracle: nobody learns from an answer,
// or from the time it takes, what he may not know. Leaks: planted secrets and personal data are looked for in
// everything the program writes.
//
// The short form runs with the other tests. GATEHOUSE_FAULTS=long runs the long form (docs/security.md says what it
// showed), and GATEHOUSE_SEED repeats the plan of a run.
package races
