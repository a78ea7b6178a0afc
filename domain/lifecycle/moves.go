package lifecycle

// Moves returns the creation of a record followed by all transitions.
func (m Map) Moves() []MapRow {
	create := MapRow{Name: "create", Operation: m.Create, From: []string{}, To: m.Starts, By: m.CreateBy, Within: m.CreateWithin}
	return append([]MapRow{create}, m.Transitions...)
}
