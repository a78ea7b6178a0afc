package problem_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain/problem"
)

func TestCatalogueIsComplete(t *testing.T) {
	t.Parallel()
	camel, snake := regexp.MustCompile(`^[a-z][a-zA-Z0-9]*$`), regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	word := regexp.MustCompile(`^[a-z][a-z0-9]*([A-Z][a-z0-9]*|_[a-z0-9]+)*$`) // each document has its own format
	for _, d := range problem.All() {
		if !camel.MatchString(d.Code) || !word.MatchString(d.Type) || !snake.MatchString(d.GraphQL) {
			t.Errorf("%s: malformed code, type or GraphQL code: %q %q", d.Code, d.Type, d.GraphQL)
		}
		for what, text := range map[string]string{"kind": string(d.Kind), "title": d.Title, "message": d.Message, "remedy": d.Remedy, "source": d.Source} {
			if text == "" {
				t.Errorf("%s has no %s", d.Code, what)
			}
		}
		if !strings.HasSuffix(d.Message, ".") || !strings.HasSuffix(d.Remedy, ".") {
			t.Errorf("%s: message and remedy must be sentences", d.Code)
		}
		if problem.Lookup(d.Code) != d {
			t.Errorf("%s is not found by its code", d.Code)
		}
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	if problem.Of(nil) != nil {
		t.Error("Of(nil) must be nil")
	}
	p := problem.New(problem.NotFound)
	if got := problem.Of(fmt.Errorf("while looking: %w", p)); got != p {
		t.Errorf("Of must find a wrapped problem: %v", got)
	}
	secret := errors.New("password=hunter2")
	got := problem.Of(secret)
	if got.Definition != problem.InternalError || strings.Contains(got.Text(), "hunter2") {
		t.Errorf("another error must become an InternalError without its text: %v", got.Text())
	}
	if !errors.Is(got, secret) {
		t.Error("the log must contain the cause")
	}
	if !problem.Has(fmt.Errorf("x: %w", p), problem.NotFound) || problem.Has(p, problem.AccessDenied) || problem.Has(nil, problem.NotFound) {
		t.Error("Has must distinguish definitions")
	}
}
