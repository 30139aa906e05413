using Npgsql;
using Pipeline.Workers.Images;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Uploads;

/// <summary>Tells old objects that nobody needs from those that an import or a generation still wants.</summary>
internal sealed class Leftovers(NpgsqlDataSource source)
{
    // While a generation is open an attempt may find its object there already and only then report it.
    private const string GeneratedSql = """
        select k.key from unnest($1, $2) as k(key, generation_id)
        join pipeline.generation_requests g on g.correlation_id = k.generation_id
            and (g.object_key = k.key or g.current_state in ('Requested', 'Rendering', 'Saving'))
        """;

    /// <summary>Those of the keys that nobody needs any more.</summary>
    public async Task<List<string>> AmongAsync(IReadOnlyCollection<string> keys, CancellationToken cancellation)
    {
        var needed = await ImportSources.AmongAsync(source, keys, cancellation);
        needed.UnionWith(await GeneratedAsync(keys, cancellation));
        return [.. keys.Where(x => !needed.Contains(x))];
    }

    private async Task<List<string>> GeneratedAsync(IEnumerable<string> keys, CancellationToken cancellation)
    {
        var generated = keys.Where(ObjectKeys.IsGenerated).ToArray();
        await using var command = source.CreateCommand(GeneratedSql);
        command.Parameters.AddWithValue(generated);
        command.Parameters.AddWithValue(generated.Select(x => Guid.Parse(x.Split('/')[1])).ToArray());
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var found = new List<string>();
        while (await row.ReadAsync(cancellation))
            found.Add(row.GetString(0));
        return found;
    }
}
