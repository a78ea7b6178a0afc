package lifecycle

// Moves returns everything that can happen to a record, its creation first.
func (m Map) Moves() []MapRow {
	create := MapRow{Name: "create", Operation: m.Create, From: []string{}, To: m.Starts, By: m.CreateBy}
	return append([]MapRow{create}, m.Transitions...)
}
