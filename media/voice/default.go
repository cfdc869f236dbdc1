package voice

import (
	"bytes"
	_ "embed" // the model
	"sync"
)

// The model that MODEL.md describes, made by `portero voice train`.
//
//go:embed model.json
var modelJSON []byte

// Default is the model that comes with the program. It is read once and shared.
func Default() *Model { return defaultModel() }

var defaultModel = sync.OnceValue(func() *Model {
	m, err := ReadModel(bytes.NewReader(modelJSON))
	if err != nil {
		panic("the built-in " + err.Error()) // a test reads it; it cannot reach a user
	}
	return m
})
