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
        MapSteering(
            routes,
            "retry",
            (command, x) => new RetryGeneration(command, x.ProjectId, x.GenerationId, x.ImageId).ToWire()
        );
        MapSteering(
            routes,
            "cancel",
            (command, x) => new CancelGeneration(command, x.ProjectId, x.GenerationId, x.ImageId).ToWire()
        );
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

    private static void MapSteering(
        IEndpointRouteBuilder routes,
        string verb,
        Func<Guid, Steering, WireMessage> message
    ) =>
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
                if (body.ZeroField() is { } field)
                    return Problems.BadRequest($"{field}: must not be all zeros.");
                if (await reads.FindAsync(id, body.ProjectId, cancellation) is not { } status)
                    return Unknown(id);
                if (Steering.Of(id, status, body.ProjectId, body.ImageId) is not { } steering)
                    return Problems.BadRequest(
                        "projectId: is required with a generation's id; a request names its own."
                    );

                var sent = message(body.CommandId ?? Guid.NewGuid(), steering);
                await sender.SendAsync(sent, cancellation);
                var receipt = ReceiptPath.Of(sent.Key.Scope, sent.MessageId);
                return Results.Accepted(
                    receipt,
                    new
                    {
                        commandId = sent.MessageId,
                        generationId = steering.GenerationId,
                        projectId = steering.ProjectId,
                        imageId = steering.ImageId,
                        generation = $"/generations/{steering.GenerationId}",
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

    private sealed record SteerBody(Guid? CommandId, Guid? ProjectId, Guid? ImageId)
    {
        public string? ZeroField() =>
            CommandId == Guid.Empty ? "commandId"
            : ProjectId == Guid.Empty ? "projectId"
            : ImageId == Guid.Empty ? "imageId"
            : null;
    }
}
