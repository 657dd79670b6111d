package world

import "strings"

// Verdict is the answer of the safety predicates to one intended change. The
// zero Verdict allows it.
type Verdict struct {
	Checks []Check `json:"checks,omitempty"`
}

// Check is one predicate, evaluated.
type Check struct {
	ID    string `json:"id"`    // the predicate's short name, "Q6"
	Holds bool   `json:"holds"` // false refuses the change
	Text  string `json:"text"`  // the arithmetic in words, true or not
	Help  string `json:"help"`  // when refused: what to do instead
}

// OK reports whether every check holds.
func (v Verdict) OK() bool {
	for _, c := range v.Checks {
		if !c.Holds {
			return false
		}
	}
	return true
}

// Err is nil for an OK verdict, else a *Refusal with the checks that failed.
func (v Verdict) Err() error {
	r := &Refusal{}
	for _, c := range v.Checks {
		if !c.Holds {
			r.Failed = append(r.Failed, c)
		}
	}
	if len(r.Failed) == 0 {
		return nil
	}
	return r
}

// Refusal is the error of a change that the predicates do not allow. Nothing
// was done.
type Refusal struct {
	Failed []Check
}

func (r *Refusal) Error() string {
	var parts []string
	for _, c := range r.Failed {
		parts = append(parts, c.ID+": "+c.Text)
	}
	return "refused: " + strings.Join(parts, "; ")
}
