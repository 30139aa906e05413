using System.Globalization;

namespace Pipeline.Bench;

/// <summary>Processor time spent so far, in milliseconds, from <c>/proc</c>.</summary>
/// <param name="Processes">The contender's own two processes.</param>
/// <param name="Broker">RabbitMQ.</param>
/// <param name="Database">All processes of PostgreSQL, also those that have ended.</param>
internal sealed record CpuTime(double Processes, double Broker, double Database)
{
    // USER_HZ, which Linux fixes at 100 for every platform that .NET runs on (proc(5)).
    private const double MillisecondsPerTick = 10;

    // Fields of /proc/PID/stat (proc(5)), counted from the one behind the command's closing parenthesis.
    private const int Parent = 1;
    private const int UserTime = 11;
    private const int SystemTime = 12;
    private const int ChildrenUserTime = 13;
    private const int ChildrenSystemTime = 14;

    public static CpuTime Read(IEnumerable<int> processes, BenchSettings settings) =>
        new(processes.Sum(Own), Own(settings.BrokerPid), Family(settings.DatabasePid));

    public static CpuTime operator -(CpuTime later, CpuTime earlier) =>
        new(later.Processes - earlier.Processes, later.Broker - earlier.Broker, later.Database - earlier.Database);

    public static CpuTime operator /(CpuTime time, double commands) =>
        new(time.Processes / commands, time.Broker / commands, time.Database / commands);

    private static double Own(int pid) => Fields(pid) is { } fields ? Sum(fields, UserTime, SystemTime) : 0;

    private static double Family(int postmaster)
    {
        var total = Fields(postmaster) is { } own
            ? Sum(own, UserTime, SystemTime, ChildrenUserTime, ChildrenSystemTime)
            : 0;
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (
                int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var pid)
                && Fields(pid) is { } fields
                && int.Parse(fields[Parent], CultureInfo.InvariantCulture) == postmaster
            )
                total += Sum(fields, UserTime, SystemTime);
        }

        return total;
    }

    private static double Sum(string[] fields, params ReadOnlySpan<int> which)
    {
        var ticks = 0L;
        foreach (var field in which)
            ticks += long.Parse(fields[field], CultureInfo.InvariantCulture);
        return ticks * MillisecondsPerTick;
    }

    private static string[]? Fields(int pid)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{pid}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return null; // It has ended meanwhile; its parent has its time.
        }
    }
}
