using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Saving;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Saving;

/// <summary>Puts pictures into projects: one insert a picture, one statement a run.</summary>
internal sealed class SaveImageHandler(RetentionOptions retention) : LaneHandler<SaveImage>
{
    private const string ImagesSql = $"select {ImageState.Columns} from pipeline.images where id = any($1)";

    private const string ObjectsSql = """
        select key, false from pipeline.catalog_objects where key = any($1)
        union all select key, true from pipeline.purged_objects where key = any($1)
        """;

    private const string InsertSql = """
        insert into pipeline.images
            (id, project_id, scene_id, scene_index, slot, version, object_key, sha256, content_type, byte_length,
             width, height, object_seen, object_check_at, placed, project_version, saved_at, updated_at, place,
             lifecycle_place)
        select i, p, s, x, t, 1, k, h, c, b, w, g, o, case when o then null else $16::timestamptz end, l, v, $16, $16,
            q, q
        from (
            select *, coalesce(e, nextval('pipeline.places')) as q
            from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::bigint[], $15::bigint[],
                        $17::bigint[]) as u (i, p, s, x, t, k, h, c, b, w, g, o, l, v, n, e)
            order by n) placed
        """;

    public override async Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    )
    {
        var commands = run.Select(x => x.As<SaveImage>()).ToArray();
        (string, object[])[] reads =
        [
            (ImagesSql, [commands.Select(x => x.ImageId).ToArray()]),
            SceneLookup.Query([.. commands.Select(x => (x.ProjectId, x.SceneId, x.SceneIndex))]),
            (ObjectsSql, [commands.Select(x => x.ObjectKey).ToArray()]),
        ];

        var images = new Dictionary<Guid, ImageState>();
        var scenes = new SceneLookup[run.Count];
        var objects = new HashSet<string>(StringComparer.Ordinal);
        var purged = new HashSet<string>(StringComparer.Ordinal);
        await using (var reader = await transaction.ReadAsync(reads, cancellation))
        {
            while (await reader.ReadAsync(cancellation))
            {
                var image = ImageState.Read(reader);
                images[image.Id] = image;
            }

            await reader.NextResultAsync(cancellation);
            while (await reader.ReadAsync(cancellation))
                scenes[SceneLookup.Position(reader)] = SceneLookup.Read(reader);

            await reader.NextResultAsync(cancellation);
            while (await reader.ReadAsync(cancellation))
                (reader.GetBoolean(1) ? purged : objects).Add(reader.GetString(0));
        }

        var overtaken = await SlotOrder.OvertakenAsync(transaction, run, scenes, cancellation);
        var added = new List<(SaveImage Command, ImageState Image)>();
        var written = 0;
        for (var i = 0; i < run.Count; i++)
        {
            if (transaction.DeletedAt(commands[i].ProjectId) is { } deletedAt)
                Supersede(transaction, run[i], commands[i], $"The project was deleted at {deletedAt:O}.");
            else if (
                images.TryGetValue(commands[i].ImageId, out var image)
                && (image.IsStored || image.DeletedAt is not null)
            )
                Meet(transaction, run[i], commands[i], image, scenes[i]);
            else if (purged.Contains(commands[i].ObjectKey))
                run[i].Reject(ReplaceImageHandler.PurgedReason, transaction.Now);
            else if (image is not null)
            {
                // It may have come in this very run, and its row must be there before it is changed.
                Insert(transaction, added[written..]);
                written = added.Count;
                var isKnown = objects.Contains(commands[i].ObjectKey);
                images[image.Id] = MeetWaiting(transaction, run[i], commands[i], image, scenes[i], isKnown);
            }
            else if (overtaken.Contains(i) || added.Exists(x => SlotOrder.Overtakes(x.Image, run[i], scenes[i])))
            {
                run[i].Supersede("A newer picture has been saved in its scene and slot.", transaction.Now);
                DeletionQueue.AddObject(
                    transaction,
                    run[i],
                    commands[i].ImageId,
                    commands[i].ObjectKey,
                    retention.Orphaned
                );
            }
            else
            {
                image = Add(transaction, run[i], commands[i], scenes[i], objects.Contains(commands[i].ObjectKey));
                images[image.Id] = image; // The same picture may come again within this run.
                added.Add((commands[i], image));
            }
        }

        Insert(transaction, added[written..]);
    }

    protected override string? Refuse(SaveImage command) =>
        PictureRules.Refuse(Picture.Of(command), command.ProjectId, command.ImageId);

    private static ImageState Add(
        LaneTransaction transaction,
        LaneEntry entry,
        SaveImage command,
        SceneLookup scene,
        bool isStored
    )
    {
        var image = new ImageState(
            command.ImageId,
            command.ProjectId,
            scene.SceneId,
            scene.SceneId is null ? command.SceneIndex : scene.Index,
            command.Slot,
            Version: 1,
            command.ObjectKey,
            command.Sha256,
            isStored,
            IsPlaced: isStored && scene.IsThere,
            transaction.NextVersion(command.ProjectId),
            DeletedAt: null,
            entry.Place
        );
        var missing = ImageState.Missing(scene.IsThere, isStored);
        entry.Decide(
            image.IsPlaced ? Outcomes.Applied : Outcomes.TargetMissing,
            Sentence(missing, scene.Disagreement),
            image.ProjectVersion,
            transaction.Now,
            image.Announce(entry.Key, transaction.Now, scene.IsThere)
        );
        return image;
    }

    /// <summary>The picture is there already: the same again is fine, anything else is another command's business.</summary>
    private void Meet(
        LaneTransaction transaction,
        LaneEntry entry,
        SaveImage command,
        ImageState image,
        SceneLookup scene
    )
    {
        if (image.ProjectId != command.ProjectId)
            entry.Reject("imageId: belongs to another project.", transaction.Now);
        else if (image.DeletedAt is { } deletedAt)
            Supersede(transaction, entry, command, $"The picture was deleted at {deletedAt:O}.");
        else if (!IsSame(command, image, scene) && entry.IsOlderThan(image.Place))
        {
            entry.Supersede("The picture has been saved otherwise since.", transaction.Now);
            DeletionQueue.AddObject(transaction, entry, image.Id, command.ObjectKey, retention.Orphaned);
        }
        else if (image.ObjectKey != command.ObjectKey)
        {
            entry.Reject("imageId: is saved with other bytes; replace the picture instead.", transaction.Now);
            DeletionQueue.AddObject(transaction, entry, image.Id, command.ObjectKey, retention.Orphaned);
        }
        else if (image.Slot != command.Slot || !scene.IsSceneOf(image))
            entry.Reject("imageId: is saved in another scene or slot.", transaction.Now);
        else
        {
            entry.Decide(
                Outcomes.Unchanged,
                reason: null,
                image.ProjectVersion,
                transaction.Now,
                image.Announce(entry.Key, transaction.Now, scene.IsThere)
            );
        }
    }

    /// <summary>
    /// The picture is there and waits for its object. It takes the same bytes under another copy's key: an import uses
    /// that one where the first is purged, or has other bytes.
    /// </summary>
    private ImageState MeetWaiting(
        LaneTransaction transaction,
        LaneEntry entry,
        SaveImage command,
        ImageState image,
        SceneLookup scene,
        bool isKnown
    )
    {
        var isCopy = image.Sha256 == command.Sha256 && image.ObjectKey != command.ObjectKey;
        if (
            !isCopy
            || image.ProjectId != command.ProjectId
            || image.Slot != command.Slot
            || !scene.IsSceneOf(image)
            || entry.IsOlderThan(image.Place)
        )
        {
            Meet(transaction, entry, command, image, scene);
            return image;
        }

        var copy = new Replacement(image, Picture.Of(command), isKnown, scene.IsThere);
        var shown = copy.Write(transaction, entry, retention);
        copy.Decide(transaction, entry, shown);
        return shown;
    }

    /// <summary>What is deleted stays deleted, and the bytes that came for it go too.</summary>
    private static void Supersede(LaneTransaction transaction, LaneEntry entry, SaveImage command, string reason)
    {
        entry.Supersede(reason, transaction.Now);
        DeletionQueue.AddObject(transaction, entry, command.ImageId, command.ObjectKey, TimeSpan.Zero);
    }

    private static bool IsSame(SaveImage command, ImageState image, SceneLookup scene) =>
        image.ObjectKey == command.ObjectKey && image.Slot == command.Slot && scene.IsSceneOf(image);

    private static string? Sentence(string? missing, string? disagreement)
    {
        var waits = missing is null ? null : $"Kept out of sight until there is the {missing}.";
        return waits is null || disagreement is null ? waits ?? disagreement : $"{waits} {disagreement}";
    }

    private static void Insert(LaneTransaction transaction, List<(SaveImage Command, ImageState Image)> added)
    {
        if (added.Count == 0)
            return;
        transaction.Write(
            InsertSql,
            added.Select(x => x.Image.Id).ToArray(),
            added.Select(x => x.Image.ProjectId).ToArray(),
            Texts(added.Select(x => x.Image.SceneId)),
            added.Select(x => x.Image.SceneIndex).ToArray(),
            added.Select(x => x.Image.Slot).ToArray(),
            Texts(added.Select(x => x.Image.ObjectKey)),
            Texts(added.Select(x => x.Image.Sha256)),
            Texts(added.Select(x => x.Command.ContentType)),
            added.Select(x => x.Command.ByteLength).ToArray(),
            added.Select(x => x.Command.Width).ToArray(),
            added.Select(x => x.Command.Height).ToArray(),
            added.Select(x => x.Image.IsStored).ToArray(),
            added.Select(x => x.Image.IsPlaced).ToArray(),
            added.Select(x => x.Image.ProjectVersion).ToArray(),
            Enumerable.Range(0, added.Count).Select(x => (long)x).ToArray(),
            transaction.Now,
            added.Select(x => x.Image.Place).ToArray()
        );
    }

    private static NpgsqlParameter Texts(IEnumerable<string?> values) =>
        new() { Value = values.ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text };
}
