package reference

import (
	"fmt"
	"strings"

	"github.com/gatehouse/gatehouse/domain"
)

// eventsPage lists the events that the state machines write to the feed.
func eventsPage() string {
	var out strings.Builder
	out.WriteString(generated + `# Events

Each transition writes one [` + "`LifecycleEvent`](schema/schema.md#type-lifecycleevent)" + ` in its own transaction: each
committed transition has exactly one event. Events never change, remain after their record is erased, and contain no personal data
or secrets.

- **Order.** An event's ` + "`cursor`" + ` is its position in the feed of all events. The order is that of the transactions: an event
  becomes visible when no earlier event can still appear, so a client that resumes from a cursor receives each event exactly once.
- **Cursors.** Pass the ` + "`cursor`" + ` of the last event received as ` + "`after`" + `: the list continues with the
  next event. A cursor is opaque, remains valid as long as the server's data, and is the same for all callers. The ` + "`cursor`" + `
  of an edge in a ` + "`timeline`" + ` or a list is a position in that list instead.
- **Access.** The users named below for each kind, at the time of the event, and any caller with an administrative scope
  (` + "`admin/…`" + `).
- **Names.** An event has the name of its mutation. Transitions caused by time, or within another mutation, are also named by verb
  and subject, but no mutation has that name.
- **Activity** of a session (touch, token call) writes no event.
`)
	for _, m := range domain.Lifecycles() {
		fmt.Fprintf(
			&out,
			"\n## %s\n\nConcerns %s. [States and diagram](../machines.md#%s).\n\n| name | from | to | roles | trigger |\n|---|---|---|---|---|\n",
			enumValue(m.Name),
			domain.Concerned(domain.Kind(m.Name)),
			strings.ToLower(m.Name),
		)
		for _, move := range m.Moves() {
			from, to := strings.Join(code(mapStrings(move.From, enumValue)), ", "), strings.Join(code(mapStrings(move.To, enumValue)), ", ")
			if len(move.From) == len(m.States) {
				from = "any"
			}
			if len(move.From) == 0 {
				from = "null"
			}
			if move.Erases {
				to = "null"
			}
			how := "mutation"
			switch {
			case move.Clock:
				how = "time"
			case move.Within != "":
				how = "within `" + move.Within + "`"
			case len(move.By) == 1 && move.By[0] == string(domain.RoleProvider):
				how = "the provider"
			}
			fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s |\n", move.Operation, from, to, strings.Join(move.By, ", "), how)
		}
	}
	return out.String()
}
