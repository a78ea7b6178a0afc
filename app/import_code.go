package app

import (
	"errors"

	"github.com/gatehouse/gatehouse/domain"
)

// code decodes a device, or the policy of an application or a jurisdiction.
func (im *Importer) code(kind, id string, text []byte) (any, error) {
	if kind == "device" {
		var in struct {
			line
			CustomerID string `json:"customerId"`
			PublicKey  string `json:"publicKey"`
		}
		if err := decodeObject(text, &in, true); err != nil {
			return nil, err
		}
		if err := goodID("customerId", in.CustomerID); err != nil {
			return nil, err
		}
		r, err := im.Rules.ImportedDevice(id, in.CustomerID, in.PublicKey)
		return r, problemText(err)
	}
	var in struct {
		line
		SecondFactors *[]string `json:"secondFactors"`
	}
	if err := decodeObject(text, &in, true); err != nil {
		return nil, err
	}
	var factors []domain.SecondFactor
	if in.SecondFactors != nil {
		factors = []domain.SecondFactor{} // an empty policy is a policy
		for _, f := range *in.SecondFactors {
			factor := domain.SecondFactor(f)
			if factor != domain.FactorPIN && factor != domain.FactorPassword {
				return nil, errors.New("secondFactors: a factor must be PIN or PASSWORD")
			}
			factors = append(factors, factor)
		}
	}
	if kind == "application" {
		return &domain.Application{ID: id, SecondFactors: factors}, nil
	}
	return &domain.Jurisdiction{ID: id, SecondFactors: factors}, nil
}
