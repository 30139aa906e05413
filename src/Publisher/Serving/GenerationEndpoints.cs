using Pipeline.Contracts.Generation;
using Pipeline.Publisher.Generating;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>How generations stand, and the two ways to steer one.</summary>
internal static class GenerationEndpoints
{
    private const int StoryboardsShown = 5;

    public static void MapGenerations(this IEndpointRouteBuilder routes)
    {
        // A project may have requests and no row: generating comes first, saving creates the project.
        routes.MapGet("/projects/{id:guid}/generations", ListAsync);
        routes.MapGet(
            "/generations/{id:guid}",
            async (
                Guid id,
                Guid? projectId,
                HttpRequest request,
                GenerationReads reads,
                CancellationToken cancellation
            ) =>
                await reads.FindAsync(id, projectId, cancellation) is { } status
                    ? Fresh.Json(request, status)
                    : Unknown(id)
        );
        MapSteering(routes, "retry", (command, generation) => new RetryGeneration(command, generation).ToWire());
        MapSteering(routes, "cancel", (command, generation) => new CancelGeneration(command, generation).ToWire());
    }

    private static async Task<IResult> ListAsync(
        Guid id,
        HttpRequest request,
        GenerationReads reads,
        StatusDatabase database,
        CancellationToken cancellation
    )
    {
        var page = Paging.Of(request);
        bool? openOnly = request.Query["open"].FirstOrDefault() switch
        {
            null or "false" => false,
            "true" => true,
            _ => null,
        };
        if (openOnly is not { } open)
            return Problems.BadRequest("open: must be true or false.");
        var requests = await reads.OfProjectAsync(id, open, page, cancellation);
        return Fresh.Json(
            request,
            new
            {
                requests,
                counts = await reads.CountsAsync(id, cancellation),
                storyboards = await StoryboardsVerb.ReadAsync(id, StoryboardsShown, database, cancellation),
                closedProviders = await reads.ClosedGatesAsync(cancellation),
                next = Paging.Next(request, page, requests),
            }
        );
    }

    private static void MapSteering(IEndpointRouteBuilder routes, string verb, Func<Guid, Guid, WireMessage> message) =>
        routes.MapPost(
            $"/generations/{{id:guid}}/{verb}",
            async (
                Guid id,
                HttpRequest request,
                GenerationReads reads,
                CommandSender sender,
                CancellationToken cancellation
            ) =>
            {
                if (Bodies.RefuseUnlessJson(request) is { } refusal)
                    return refusal;
                var body = await Bodies.ReadAsync<SteerBody>(request, cancellation);
                if (body.CommandId == Guid.Empty)
                    return Problems.BadRequest("commandId: must not be all zeros.");
                if (await reads.FindAsync(id, project: null, cancellation) is not { } status)
                    return Unknown(id);

                var sent = message(body.CommandId ?? Guid.NewGuid(), status.Generation.Id);
                await sender.SendAsync(sent, cancellation);
                var receipt = ReceiptPath.Of(Guid.Empty, sent.MessageId);
                return Results.Accepted(
                    receipt,
                    new
                    {
                        commandId = sent.MessageId,
                        generationId = status.Generation.Id,
                        generation = $"/generations/{status.Generation.Id}",
                        receipt,
                    }
                );
            }
        );

    private static IResult Unknown(Guid id) =>
        Problems.NotFound(
            "generation-not-found",
            $"There is no generation {id}, and no command {id} asked for one; it may still be queued."
        );

    private sealed record SteerBody(Guid? CommandId);
}
