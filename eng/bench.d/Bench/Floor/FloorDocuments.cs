using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;

namespace Pipeline.Bench.Floor;

/// <summary>
/// The seed's way with its faults mended: one JSON document a project, read under a row lock, changed in memory and
/// written back whole, for all projects of a batch in one transaction.
/// </summary>
internal sealed class FloorDocuments(NpgsqlDataSource source)
{
    private const string UrlPrefix = "https://images.example/";

    private const string SelectSql =
        "select project_id, document from bench.documents where project_id = any($1) order by project_id for update";

    private const string UpdateSql = """
        update bench.documents d set document = x.document, version = d.version + x.added
        from unnest($1, $2, $3) as x (project_id, document, added) where d.project_id = x.project_id
        """;

    /// <summary>Adds each picture's URL to its scene, and commits.</summary>
    public async Task AppendAsync(IReadOnlyCollection<SaveImage> batch, CancellationToken cancellation)
    {
        var byProject = batch.GroupBy(x => x.ProjectId).ToDictionary(x => x.Key, x => x.ToArray());
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);

        var ids = new List<Guid>(byProject.Count);
        var documents = new List<ProjectDocument>(byProject.Count);
        await using (var select = new NpgsqlCommand(SelectSql, connection, transaction))
        {
            select.Parameters.AddWithValue(byProject.Keys.ToArray());
            await using var row = await select.ExecuteReaderAsync(cancellation);
            while (await row.ReadAsync(cancellation))
            {
                ids.Add(row.GetGuid(0));
                var json = row.GetFieldValue<byte[]>(1);
                documents.Add(JsonSerializer.Deserialize<ProjectDocument>(json, WireJson.Options)!);
            }
        }

        for (var i = 0; i < ids.Count; i++)
        {
            var scenes = documents[i].Scenes.ToDictionary(x => x.Id, StringComparer.Ordinal);
            foreach (var save in byProject[ids[i]])
                scenes[save.SceneId!].ImageUrls.Add(UrlPrefix + save.ObjectKey);
        }

        await using (var update = new NpgsqlCommand(UpdateSql, connection, transaction))
        {
            update.Parameters.AddWithValue(ids.ToArray());
            update.Parameters.AddWithValue(
                NpgsqlDbType.Array | NpgsqlDbType.Jsonb,
                documents.Select(x => JsonSerializer.SerializeToUtf8Bytes(x, WireJson.Options)).ToArray()
            );
            update.Parameters.AddWithValue(ids.Select(x => (long)byProject[x].Length).ToArray());
            await update.ExecuteNonQueryAsync(cancellation);
        }

        await transaction.CommitAsync(cancellation);
    }
}

/// <summary>The document that the seed keeps in one column.</summary>
internal sealed record ProjectDocument(List<SceneDocument> Scenes);

/// <summary>A scene of it.</summary>
internal sealed record SceneDocument(string Id, int Index, string? Prompt, List<string> ImageUrls);
