package signature

import (
	"embed"
	"sync"
)

// BuiltIn is the name of the built-in files where the operator's are named.
const BuiltIn = "builtin"

//go:embed builtin/*.yaml
var builtIn embed.FS

// Files are the built-in ones (configs/signatures).
func Files() []File {
	entries, err := builtIn.ReadDir("builtin")
	if err != nil {
		panic(err) // it is part of the binary
	}
	var out []File
	for _, e := range entries {
		b, err := builtIn.ReadFile("builtin/" + e.Name())
		if err != nil {
			panic(err)
		}
		out = append(out, File{Name: "configs/signatures/" + e.Name(), Data: b})
	}
	return out
}

// Default is the built-in database. It panics if that is broken, which a test
// would have found.
var Default = sync.OnceValue(func() *Set {
	s, err := Load(Files()...)
	if err != nil {
		panic(err)
	}
	return s
})
