package db

import (
	"context"
	"fmt"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// ImportBatch writes imported records in one transaction. It replaces accounts, organizations (with all their owners
// and signers), customers, JWT templates, contacts, identity records, list entries, devices and policies. It does not
// change existing sessions. A role granted by a completed invitation is kept until an import contains it; after that, a
// later import that does not contain it removes it.
func (d *DB) ImportBatch(ctx context.Context, records []any) error {
	keys, err := d.keys(ctx)
	if err != nil {
		return err
	}
	u := &unit{db: d}
	u.lockImported(records)
	for _, record := range records {
		if err := u.importRecord(keys, record); err != nil {
			return err
		}
	}
	_, err = u.write(ctx)
	return err
}

// lockImported writes the rows that several records share, first and in a fixed order, because otherwise two imports
// could deadlock.
func (u *unit) lockImported(records []any) {
	var sightings []domain.Sighting
	lists, people := false, false
	for _, record := range records {
		switch r := record.(type) {
		case *domain.ImportedSession:
			if id := r.Session.ClientID; id != nil {
				sightings = append(sightings, domain.Sighting{ClientID: *id, At: r.Session.CreatedAt})
			}
		case *domain.ListEntry:
			lists = true
		case *domain.IdentityRecord:
			people = true
		}
	}
	u.lockClients(sightings)
	if lists {
		u.add(countListImport, nil)
	}
	if people {
		u.add(countRecordImport, nil)
	}
}

func (u *unit) importRecord(keys *seal.Keyring, record any) error {
	switch r := record.(type) {
	case *domain.Customer:
		row, err := customerRowOf(keys, r)
		u.addRow(saveCustomer, row, nil)
		return err
	case *domain.JwtTemplate:
		row, err := templateRowOf(r)
		u.addRow(importTemplate, row, nil)
		return err
	case *domain.ImportedSession:
		return u.importSession(keys, r)
	case *domain.Account:
		u.addRow(saveAccount, &accountRow{ID: r.ID, JointOwnersEnabled: r.JointOwnersEnabled, MaxOwners: r.MaxOwners}, nil)
		u.add(dropAccountOwners, nil, with("id", r.ID))
		for _, user := range r.Owners {
			u.addRow(importAccountOwner, &accountOwnerRow{AccountID: r.ID, UserID: user}, nil)
		}
	case *domain.Organization:
		u.addRow(lockOrganization, &organizationRow{ID: r.ID}, nil)
		u.add(dropOrganizationParts, nil, with("id", r.ID))
		for _, user := range r.Owners {
			u.addRow(importOrganizationPart, &organizationPartRow{OrganizationID: r.ID, UserID: user, Role: "owner"}, nil)
		}
		for _, user := range r.Signers {
			u.addRow(importOrganizationPart, &organizationPartRow{OrganizationID: r.ID, UserID: user, Role: "signer"}, nil)
		}
	case *domain.Contact:
		row, err := contactRowOf(keys, r)
		u.addRow(importContact, row, nil)
		return err
	case *domain.IdentityRecord:
		row, err := identityRecordRowOf(keys, r)
		u.addRow(importRecord, row, nil)
		return err
	case *domain.ListEntry:
		row, err := entryRowOf(keys, r)
		u.addRow(importEntry, row, nil)
		return err
	case *domain.Device:
		return u.importDevice(keys, r)
	case *domain.Application:
		u.addRow(saveApplication, &applicationRow{policyRow: policyOf(r.ID, r.SecondFactors)}, nil)
	case *domain.Jurisdiction:
		u.addRow(saveJurisdiction, &jurisdictionRow{policyRow: policyOf(r.ID, r.SecondFactors)}, nil)
	default:
		return fmt.Errorf("db: cannot import records of type %T", record)
	}
	return nil
}

// importSession adds a session with the first event of its journal, unless it exists.
func (u *unit) importSession(keys *seal.Keyring, r *domain.ImportedSession) error {
	row, err := sessionRowOf(keys, r.Session)
	if err != nil {
		return err
	}
	event, err := eventRowOf(r.Event)
	u.addRow(sessions.insert, row, nil)
	u.addRow(firstEvent, event, nil, with("session", r.Event.SubjectID))
	return err
}
