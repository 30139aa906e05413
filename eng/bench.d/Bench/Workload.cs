using System.Security.Cryptography;
using System.Text;
using Pipeline.Contracts.Saving;
using Pipeline.Contracts.Storyboards;
using Pipeline.Wire;

namespace Pipeline.Bench;

/// <summary>
/// Projects with their scenes, and pictures for random ones of them. The same seed and name make the same commands, so
/// both contenders get the same bytes and the same imbalance of the lanes.
/// </summary>
internal sealed class Workload
{
    // What a command with a prompt and a few fields of its sender's own comes to.
    private const int BodyBytes = 1024;

    // As long as those of samples/storyboard.json.
    private static readonly string Prompt = new('x', 100);

    private readonly int _sceneCount;

    public Workload(BenchPlan plan, string name, int commands)
    {
        var random = new Random(BitConverter.ToInt32(SHA256.HashData(Encoding.UTF8.GetBytes($"{plan.Seed} {name}"))));
        _sceneCount = plan.Scenes;
        Projects = [.. Enumerable.Range(0, plan.Projects).Select(_ => NextGuid(random))];
        Commands = [.. Enumerable.Range(0, commands).Select(_ => NextCommand(random))];
        Bodies = [.. Commands.Select(Body)];
    }

    public Guid[] Projects { get; }

    /// <summary>In the order of publishing.</summary>
    public SaveImage[] Commands { get; }

    /// <summary>Of each command: its JSON and a field that no contract knows, which makes it as long as wanted.</summary>
    public byte[][] Bodies { get; }

    /// <summary>What each project is defined with, one command each.</summary>
    public IEnumerable<DefineScenes> Definitions() =>
        Projects.Select(project => new DefineScenes(
            NameBasedGuid.Create(project, "bench"),
            project,
            [.. Enumerable.Range(1, _sceneCount).Select(x => new SceneDefinition($"scene-{x}", x, Prompt))]
        ));

    /// <summary>The command at its place in the order of publishing.</summary>
    public WireMessage Message(int position, string exchange) =>
        new(
            exchange,
            WireNames.RoutingKeyOf(Commands[position].ProjectId),
            Commands[position].CommandId,
            Bodies[position],
            Mandatory: true
        );

    private SaveImage NextCommand(Random random)
    {
        var project = Projects[random.Next(Projects.Length)];
        var image = NextGuid(random);
        var bytes = new byte[SHA256.HashSizeInBytes];
        random.NextBytes(bytes);
        var hash = Convert.ToHexStringLower(bytes);
        return new SaveImage(
            NextGuid(random),
            project,
            image,
            $"scene-{random.Next(_sceneCount) + 1}",
            SceneIndex: null,
            random.Next(100),
            $"projects/{project:D}/{image:D}/{hash}.png",
            hash,
            "image/png",
            random.Next(1, 1_000_000),
            1024,
            1024
        );
    }

    private static byte[] Body(SaveImage command)
    {
        var json = WireJson.Write(command);
        var text = Encoding.UTF8.GetString(json, 0, json.Length - 1) + ",\"note\":\"";
        return Encoding.UTF8.GetBytes(text.PadRight(BodyBytes - 2, 'x') + "\"}");
    }

    private static Guid NextGuid(Random random)
    {
        var bytes = new byte[16];
        random.NextBytes(bytes);
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x40); // Version 4 and its variant, as anybody's ids look.
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new Guid(bytes, bigEndian: true);
    }
}
