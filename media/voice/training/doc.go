// Package training makes the models that media/voice judges by, and measures
// them so that it means something: what a model says of a clip counts only if it
// was trained without that clip's source and without its speaker or synthesizer.
//
// Everything follows from the samples given and a seed: the same data gives the
// same model. The package opens nothing; the program's voice command reads the
// files.
package training
