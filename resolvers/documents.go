package resolvers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// trusted serves no document but those of the institution: by their id, by their SHA-256, or as they are.
type trustedDocuments struct{ byID map[string]string }

func newTrustedDocuments(documents map[string]string) *trustedDocuments {
	t := &trustedDocuments{byID: map[string]string{}}
	for _, text := range documents {
		t.byID[digest(text)] = text
	}
	for id, text := range documents {
		t.byID[id] = text
	}
	return t
}

// ExtensionName is for gqlgen.
func (*trustedDocuments) ExtensionName() string { return "TrustedDocuments" }

// Validate is for gqlgen.
func (*trustedDocuments) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters puts the document in the place of its id.
func (t *trustedDocuments) MutateOperationParameters(_ context.Context, params *graphql.RawParams) *gqlerror.Error {
	id := documentID(params)
	if id == "" {
		id = digest(params.Query)
	}
	text, ok := t.byID[id]
	if !ok || params.Query != "" && params.Query != text {
		return refusal(codeBadDocument, "This server serves known documents only.")
	}
	params.Query = text
	return nil
}

// remembering is automatic persisted queries: a document once sent with its SHA-256 is later served by that alone.
type persistedQueries struct{ texts graphql.Cache[string] }

// ExtensionName is for gqlgen.
func (persistedQueries) ExtensionName() string { return "PersistedQueries" }

// Validate is for gqlgen.
func (persistedQueries) Validate(graphql.ExecutableSchema) error { return nil }

// notPersisted is the word by which clients know that they shall send the document.
const notPersisted = "PersistedQueryNotFound"

// MutateOperationParameters puts the document in the place of its hash.
func (r persistedQueries) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	id := documentID(params)
	switch {
	case id == "":
	case params.Query == "":
		text, ok := r.texts.Get(ctx, id)
		if !ok {
			return refusal(codeBadDocument, notPersisted)
		}
		params.Query = text
	case digest(params.Query) != id:
		return refusal(codeBadDocument, "The hash is not that of the document.")
	default:
		r.texts.Add(ctx, id, params.Query)
	}
	return nil
}

// documentID is the name of a document that a request gives: documentId, or the hash of the extension persistedQuery.
func documentID(params *graphql.RawParams) string {
	if id, ok := params.Extensions["documentId"].(string); ok && id != "" {
		return id
	}
	persisted, _ := params.Extensions["persistedQuery"].(map[string]any)
	id, _ := persisted["sha256Hash"].(string)
	return id
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
