using Pipeline.Publisher;

var configuration = new ConfigurationBuilder()
    .SetBasePath(AppContext.BaseDirectory)
    .AddJsonFile("appsettings.json", optional: true)
    .AddEnvironmentVariables()
    .Build();
var terminal = new TerminalWriters(Console.Out, Console.Error, Repaints: !Console.IsErrorRedirected);
return await new CommandLine(configuration, TimeProvider.System, terminal).RunAsync(args, CancellationToken.None);
