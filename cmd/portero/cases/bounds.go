package cases

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bounds is what a figure should be: a number as it is printed, with two decimals
// (0.31), a range (0.20..0.40, ..0.5, 0.9..), or of evidence whether it is there
// at all (present, absent).
type Bounds struct {
	Word      string  // Present, Absent, or empty for numbers
	Low, High float64 // equal for one number
}

// The words of Bounds.
const (
	Present = "present"
	Absent  = "absent"
)

// Exactly are the bounds of one number.
func Exactly(x float64) Bounds { return Bounds{Low: x, High: x} }

// Allowed says what may be written.
func (Bounds) Allowed() string {
	return "a number with two decimals, like 0.31, a range, like 0.20..0.40, ..0.5 or 0.9.., and for evidence present or absent"
}

var errBounds = errors.New("is no number and no range of numbers")

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bounds) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == Present || s == Absent {
		*b = Bounds{Word: s}
		return nil
	}
	low, high, ranged := strings.Cut(s, "..")
	if !ranged {
		x, err := number(s)
		if err != nil {
			return err
		}
		*b = Exactly(x)
		return nil
	}
	*b = Bounds{Low: math.Inf(-1), High: math.Inf(1)}
	var err error
	if low != "" {
		if b.Low, err = number(low); err != nil {
			return err
		}
	}
	if high != "" {
		if b.High, err = number(high); err != nil {
			return err
		}
	}
	if low == "" && high == "" || b.Low > b.High {
		return fmt.Errorf("%q is an empty range", s)
	}
	return nil
}

func number(s string) (float64, error) {
	x, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("%q %w", s, errBounds)
	}
	return x, nil
}

// single says whether the bounds are one number.
func (b Bounds) single() bool { return b.Word == "" && b.Low == b.High }

// near is how far a figure may be from the one number that it should be: both are
// printed with two decimals, and are then the same.
const near = 0.005 + 1e-9

// holds says whether a number is within the bounds.
func (b Bounds) holds(x float64) bool {
	switch {
	case b.Word != "":
		return b.Word == Present
	case b.single():
		return math.Abs(x-b.Low) <= near
	}
	return x >= b.Low-1e-9 && x <= b.High+1e-9
}

func (b Bounds) String() string {
	switch {
	case b.Word != "":
		return b.Word
	case b.single():
		return figure(b.Low)
	case math.IsInf(b.Low, -1):
		return ".." + figure(b.High)
	case math.IsInf(b.High, 1):
		return figure(b.Low) + ".."
	}
	return figure(b.Low) + ".." + figure(b.High)
}

// figure is a number as people compare it.
func figure(x float64) string {
	if s := strconv.FormatFloat(x, 'f', 2, 64); s != "-0.00" {
		return s
	}
	return "0.00"
}
