using Microsoft.AspNetCore.Mvc;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Publisher.Cataloguing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>The catalogue: its entries, counts and rebuilds, and the commands about them.</summary>
internal static class CatalogEndpoints
{
    private const int ByteLimit = 16 * 1024;

    public static void MapCatalog(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/catalog", ListAsync);
        routes.MapGet(
            "/catalog/statistics",
            async (HttpRequest request, CatalogReads reads, CancellationToken cancellation) =>
                Fresh.Json(request, await reads.StatisticsAsync(cancellation))
        );
        routes.MapGet("/catalog/rebuilds", RebuildsAsync);
        routes.MapGet(
            "/catalog/rebuilds/{id:guid}",
            async (Guid id, HttpRequest request, CatalogReads reads, CancellationToken cancellation) =>
                await reads.RebuildAsync(id, cancellation) is { } rebuild ? Fresh.Json(request, rebuild) : Unknown(id)
        );
        routes.MapPost("/catalog/rebuilds", RebuildAsync).WithMetadata(new RequestSizeLimitAttribute(ByteLimit));
        routes
            .MapPost("/catalog/rebuilds/{id:guid}/cancel", CancelAsync)
            .WithMetadata(new RequestSizeLimitAttribute(ByteLimit));
        MapObject(routes, "record", (command, key) => new RecordObject(command, key).ToWire());
        MapObject(routes, "forget", (command, key) => new ForgetObject(command, key).ToWire());
    }

    private static async Task<IResult> ListAsync(
        HttpRequest request,
        CatalogReads reads,
        CancellationToken cancellation
    )
    {
        var limit = Paging.Of(request).Limit;
        if (request.Query.ContainsKey("offset"))
            return Problems.BadRequest("offset: the catalogue's pages go by after, the last key of the page before.");
        var (prefix, after) = ((string?)request.Query["prefix"] ?? "", (string?)request.Query["after"]);
        if ($"{prefix}{after}".Contains('\0', StringComparison.Ordinal))
            return Problems.BadRequest("prefix, after: no key contains the character U+0000.");
        var entries = await reads.EntriesAsync(prefix, after, limit, cancellation);
        var next =
            entries.Count < limit
                ? null
                : request.Path
                    + QueryString.Create([
                        KeyValuePair.Create("prefix", (string?)prefix),
                        KeyValuePair.Create("after", (string?)entries[^1].Key),
                        KeyValuePair.Create("limit", (string?)$"{limit}"),
                    ]);
        return Fresh.Json(request, new { entries, next });
    }

    private static async Task<IResult> RebuildsAsync(
        HttpRequest request,
        CatalogReads reads,
        CancellationToken cancellation
    )
    {
        var page = Paging.Of(request);
        var rebuilds = await reads.RebuildsAsync(page, cancellation);
        return Fresh.Json(request, new { rebuilds, next = Paging.Next(request, page, rebuilds) });
    }

    private static async Task<IResult> RebuildAsync(
        HttpRequest request,
        CommandSender sender,
        CancellationToken cancellation
    )
    {
        var (commandId, refusal) = await CommandOfAsync(request, cancellation);
        if (refusal is not null)
            return refusal;
        await sender.SendAsync(new RebuildCatalog(commandId).ToWire(), cancellation);
        var receipt = ReceiptPath.Of(Guid.Empty, commandId);
        return Results.Accepted(
            receipt,
            new
            {
                commandId,
                rebuild = $"/catalog/rebuilds/{commandId}",
                receipt,
            }
        );
    }

    private static async Task<IResult> CancelAsync(
        Guid id,
        HttpRequest request,
        CatalogReads reads,
        CommandSender sender,
        CancellationToken cancellation
    )
    {
        var (commandId, refusal) = await CommandOfAsync(request, cancellation);
        if (refusal is not null)
            return refusal;
        if (await reads.RebuildAsync(id, cancellation) is not { } rebuild)
            return Unknown(id);
        await sender.SendAsync(new CancelRebuild(commandId, rebuild.Id).ToWire(), cancellation);
        return Accepted(commandId);
    }

    private static void MapObject(IEndpointRouteBuilder routes, string verb, Func<Guid, string, WireMessage> message) =>
        routes
            .MapPost(
                $"/catalog/{verb}",
                async (HttpRequest request, CommandSender sender, CancellationToken cancellation) =>
                {
                    if (Bodies.RefuseUnlessJson(request) is { } refusal)
                        return refusal;
                    var body = await Bodies.ReadAsync<ObjectBody>(request, cancellation);
                    List<string> problems = [.. Bodies.IdProblems(Guid.Empty, body.CommandId, named: null)];
                    if (CatalogMessages.Problem(body.ObjectKey) is { } problem)
                        problems.Add($"objectKey: {problem}");
                    if (problems.Count > 0 || body.ObjectKey is not { } key)
                        return Problems.BadRequest("The command cannot be right as it is.", problems);
                    var commandId = body.CommandId ?? Guid.NewGuid();
                    await sender.SendAsync(message(commandId, key), cancellation);
                    return Accepted(commandId);
                }
            )
            .WithMetadata(new RequestSizeLimitAttribute(ByteLimit));

    private static async Task<(Guid CommandId, IResult? Refusal)> CommandOfAsync(
        HttpRequest request,
        CancellationToken cancellation
    )
    {
        if (Bodies.RefuseUnlessJson(request) is { } refusal)
            return (Guid.Empty, refusal);
        var body = await Bodies.ReadAsync<CommandBody>(request, cancellation);
        return body.CommandId == Guid.Empty
            ? (Guid.Empty, Problems.BadRequest("commandId: must not be all zeros."))
            : (body.CommandId ?? Guid.NewGuid(), null);
    }

    private static IResult Accepted(Guid commandId)
    {
        var receipt = ReceiptPath.Of(Guid.Empty, commandId);
        return Results.Accepted(receipt, new { commandId, receipt });
    }

    private static IResult Unknown(Guid id) =>
        Problems.NotFound(
            "rebuild-not-found",
            $"There is no rebuild {id}, and no command {id} asked for one; it may still be queued."
        );

    private sealed record CommandBody(Guid? CommandId);

    private sealed record ObjectBody(Guid? CommandId, string? ObjectKey);
}
