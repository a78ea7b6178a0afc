package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/seal"
)

// policyFile is the form of a verification policy in a file.
type policyFile struct {
	Verified    []policyCondition `yaml:"verified"`
	Never       []risk.Category   `yaml:"never,flow"`
	FourEyes    bool              `yaml:"fourEyes"`
	SelfService bool              `yaml:"selfService"`
}

type policyCondition struct {
	Report     domain.FraudRiskReportState `yaml:"report,omitempty"`
	Categories []risk.Category             `yaml:"categories,omitempty,flow"`
	Quiz       domain.QuizState            `yaml:"quiz,omitempty"`
	Approval   string                      `yaml:"approval,omitempty"`
	MaxAge     policyAge                   `yaml:"maxAge,omitempty"`
	All        []policyCondition           `yaml:"all,omitempty"`
}

// policyAge is a duration that may be written in days: 90d.
type policyAge time.Duration

const day = 24 * time.Hour

// UnmarshalYAML reads a number of days, or a duration as Go writes it.
func (a *policyAge) UnmarshalYAML(node *yaml.Node) error {
	if days, ok := strings.CutSuffix(node.Value, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 1 || n > 36500 {
			return fmt.Errorf("line %d: maxAge: expected a number of days, such as 90d", node.Line)
		}
		*a = policyAge(time.Duration(n) * day)
		return nil
	}
	d, err := time.ParseDuration(node.Value)
	if err != nil || d <= 0 {
		return fmt.Errorf("line %d: maxAge: expected a number of days or a duration, such as 90d or 12h", node.Line)
	}
	*a = policyAge(d)
	return nil
}

// MarshalYAML writes whole days as such.
func (a policyAge) MarshalYAML() (any, error) {
	if d := time.Duration(a); d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d", nil
	}
	return time.Duration(a).String(), nil
}

// ParsePolicy reads a verification policy. Its error names the line or member and the problem.
func ParsePolicy(text []byte) (domain.VerificationPolicy, error) {
	var file policyFile
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		return domain.VerificationPolicy{}, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return domain.VerificationPolicy{}, errors.New("the file must contain one document")
	}
	policy := domain.VerificationPolicy{
		Verified: conditionsOf(file.Verified), Never: file.Never, FourEyes: file.FourEyes, SelfService: file.SelfService,
	}
	return versioned(policy), policy.Check()
}

func conditionsOf(in []policyCondition) []domain.PolicyCondition {
	var out []domain.PolicyCondition
	for _, c := range in {
		out = append(out, domain.PolicyCondition{
			Report: c.Report, Categories: c.Categories, Quiz: c.Quiz, Approval: c.Approval, MaxAge: time.Duration(c.MaxAge),
			All: conditionsOf(c.All),
		})
	}
	return out
}

func conditionsFor(in []domain.PolicyCondition) []policyCondition {
	var out []policyCondition
	for _, c := range in {
		out = append(out, policyCondition{
			Report: c.Report, Categories: c.Categories, Quiz: c.Quiz, Approval: c.Approval, MaxAge: policyAge(c.MaxAge),
			All: conditionsFor(c.All),
		})
	}
	return out
}

// versioned sets the document of a policy, and its version: a hash of the document.
func versioned(p domain.VerificationPolicy) domain.VerificationPolicy {
	p.Document = PolicyYAML(p)
	sum := sha256.Sum256([]byte(p.Document))
	p.Version = hex.EncodeToString(sum[:6])
	return p
}

// PolicyYAML returns a policy as a file would have it.
func PolicyYAML(p domain.VerificationPolicy) string {
	var out strings.Builder
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	err := encoder.Encode(policyFile{
		Verified: conditionsFor(p.Verified), Never: p.Never, FourEyes: p.FourEyes, SelfService: p.SelfService,
	})
	if err != nil {
		panic(err) // its members are texts and numbers
	}
	return out.String()
}

// LoadPolicy reads the policy in a file; without a file it returns the built-in one.
func LoadPolicy(file string) (domain.VerificationPolicy, error) {
	if file == "" {
		return versioned(domain.DefaultVerificationPolicy()), nil
	}
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return domain.VerificationPolicy{}, err
	}
	policy, err := ParsePolicy(text)
	if err != nil {
		return policy, fmt.Errorf("%s: %w", file, err)
	}
	return policy, nil
}

// RehearsePolicy writes what another policy would change, a line for each contact and then the counts.
func (d *Database) RehearsePolicy(ctx context.Context, c *Config, policy domain.VerificationPolicy, out io.Writer) error {
	service := newService(c, d.DB, seal.NewHasher(seal.CostLow), newSigner(c, d.DB, nil), "")
	words := map[bool]string{true: "verified", false: "not verified"}
	contacts, gained, lost := 0, 0, 0
	err := service.RehearsePolicy(ctx, policy, func(id string, now, then domain.VerificationDecision) error {
		contacts++
		if now.Verified == then.Verified {
			return nil
		}
		codes := make([]string, 0, len(then.Reasons))
		for _, r := range then.Reasons {
			codes = append(codes, string(r.Code))
		}
		if then.Verified {
			gained++
		} else {
			lost++
		}
		_, err := fmt.Fprintf(out, "%s: %s -> %s (%s)\n", id, words[now.Verified], words[then.Verified], strings.Join(codes, ", "))
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d contacts: %d would become verified, %d would no longer be verified, %d would not change\n",
		contacts, gained, lost, contacts-gained-lost)
	return err
}
