using System.CommandLine;
using Pipeline.Workers;
using Pipeline.Workers.Painting;

// The slices are listed in WorkerHost; here is only the command line.
var run = new Command("run", "Consume commands until stopped by SIGTERM or Ctrl-C, then finish what is at hand.");
run.SetAction((_, cancellation) => Verbs.RunAsync(cancellation));

var migrate = new Command(
    "migrate",
    "Bring the database's schema up to date. Safe to run from several places at once."
);
migrate.SetAction((_, cancellation) => Verbs.MigrateAsync(cancellation));

var root = new RootCommand("The image pipeline's workers. Settings are environment variables: see docs/operations.md.")
{
    run,
    migrate,
    PaintCommand.Create(),
};

// System.CommandLine ends the process two seconds after SIGTERM if it is not told otherwise, in the middle of the
// batches that the lanes finish. The host's own limit is shorter than this one, so that it decides.
var leavingLimit = WorkerHost.ShutdownLimit + TimeSpan.FromSeconds(30);
return await root.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = leavingLimit });
