package resolvers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// trustedDocuments serves only the documents of the institution: by their id, by their SHA-256, or in full.
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

// ExtensionName implements graphql.HandlerExtension.
func (*trustedDocuments) ExtensionName() string { return "TrustedDocuments" }

// Validate implements graphql.HandlerExtension.
func (*trustedDocuments) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters replaces the id of a document by the document.
func (t *trustedDocuments) MutateOperationParameters(_ context.Context, params *graphql.RawParams) *gqlerror.Error {
	id := documentID(params)
	if id == "" {
		id = digest(params.Query)
	}
	text, ok := t.byID[id]
	if !ok || params.Query != "" && params.Query != text {
		return refusal(codeBadDocument, "This server accepts registered documents only.")
	}
	params.Query = text
	return nil
}

// persistedQueries implements automatic persisted queries: a document that was sent once with its SHA-256 can later be
// requested by the hash alone.
type persistedQueries struct{ texts graphql.Cache[string] }

// ExtensionName implements graphql.HandlerExtension.
func (persistedQueries) ExtensionName() string { return "PersistedQueries" }

// Validate implements graphql.HandlerExtension.
func (persistedQueries) Validate(graphql.ExecutableSchema) error { return nil }

// notPersisted is the error message on which clients send the document.
const notPersisted = "PersistedQueryNotFound"

// MutateOperationParameters replaces the hash of a document by the document.
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
		return refusal(codeBadDocument, "The hash does not match the document.")
	default:
		r.texts.Add(ctx, id, params.Query)
	}
	return nil
}

// documentID returns the id of the requested document: documentId, or the hash of the extension persistedQuery.
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
