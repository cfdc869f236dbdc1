// Command portero is the front door of a phone system: serve runs it, the
// other subcommands look at what it did, at recorded calls, and at its
// configuration.
//
// Exit status: 0 when all went well; 1 when something failed, with the reason
// on standard error; 2 when the command line itself is wrong.
//
// This package reads the configuration, wires the rooms and starts them; it
// refuses logic.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli is the command line.
type cli struct {
	Serve       serveCmd       `cmd:"" help:"Run the door until SIGTERM; SIGHUP reads the rules anew."`
	Check       checkCmd       `cmd:"" help:"Check a configuration: every mistake at once, or a summary."`
	Callbacks   callbacksCmd   `cmd:"" help:"Look at and work on the promises of callbacks."`
	Voice       voiceCmd       `cmd:"" help:"Judge voices in files; make and measure the model for it."`
	Fusion      fusionCmd      `cmd:"" help:"Learn from labelled calls how much each kind of evidence weighs."`
	Test        testCmd        `cmd:"" help:"Hold recorded calls against what a configuration should make of them."`
	Diff        diffCmd        `cmd:"" help:"Tell which recorded calls two configurations treat differently."`
	Record      recordCmd      `cmd:"" help:"Write a call that the door had as a capture."`
	Inspect     inspectCmd     `cmd:"" help:"Rebuild and judge the calls in captures."`
	Replay      replayCmd      `cmd:"" help:"Place recorded calls again, and say where they go otherwise."`
	Signatures  signaturesCmd  `cmd:"" help:"Check, learn and show what SIP stacks are known by."`
	Export      exportCmd      `cmd:"" help:"Write recorded calls for other tools."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a running door how it fares."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// errReported ends a command with status 1 when it has already said why on
// standard error, a line for each thing that failed.
var errReported = errors.New("reported")

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings given, for tests.
func run(args []string, stdout, stderr io.Writer) int {
	var c cli
	// kong exits by itself for --help only; usage errors come back as errors.
	parser, err := kong.New(&c,
		kong.Name("portero"),
		kong.Description("The front door of a phone system. Exit status: 0 well, 1 failed, 2 wrong usage."),
		kong.Writers(stdout, stderr),
		kong.UsageOnError(),
		kong.BindTo(output{stdout, stderr}, (*printer)(nil)),
	)
	if err != nil {
		panic(err) // the struct tags above are wrong: every start would fail
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "portero: %v\nTry portero --help.\n", err)
		return exitUsage
	}
	var status exitStatus
	switch err := ctx.Run(); {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFailed
	case errors.As(err, &status):
		return int(status)
	default:
		fmt.Fprintf(stderr, "portero: %v\n", err)
		return exitFailed
	}
}

// A printer is where a command writes: results to Out, reasons to Err. A Run
// method may take one as its argument.
type printer interface {
	Out() io.Writer
	Err() io.Writer
}

type output struct{ out, err io.Writer }

func (o output) Out() io.Writer { return o.out }
func (o output) Err() io.Writer { return o.err }
