using MassTransit;
using MassTransit.RabbitMqTransport;
using Pipeline.Contracts;
using Pipeline.Wire;

namespace Pipeline.Workers.Lanes;

/// <summary>Takes one type of command off the lane and gives it in at its place.</summary>
internal sealed class LaneConsumer<T>(ILaneHandler handler) : IConsumer<T>
    where T : class, ILaneCommand
{
    public async Task Consume(ConsumeContext<T> context)
    {
        var command = context.Message;
        var commandId = CommandIds.Of(context, command.CommandId);
        var delivery = context.ReceiveContext;
        var entry = LaneEntry.Of(
            command,
            commandId,
            RefuseAddress(command, delivery) ?? handler.Refuse(command),
            DeliveryHeaders.Replays(delivery),
            DeliveryHeaders.Redeliveries(delivery)
        );

        try
        {
            await delivery.GetPayload<LaneTicket>().ApplyAsync(entry);
        }
        catch (OperationCanceledException)
        {
            // MassTransit lets a cancellation with its own token pass; any other one would go to the dead letters.
            throw new OperationCanceledException(context.CancellationToken);
        }
    }

    /// <summary>Another routing key means another lane, and so no order: such a command is refused, not applied.</summary>
    private static string? RefuseAddress(T command, ReceiveContext delivery)
    {
        if (command.ProjectId == Guid.Empty)
            return "projectId: must not be empty or all zeros.";

        var expected = WireNames.RoutingKeyOf(command.ProjectId);
        return delivery.TryGetPayload<RabbitMqBasicConsumeContext>(out var amqp) && amqp.RoutingKey != expected
            ? $"routing key: must be the project id '{expected}', which decides the lane."
            : null;
    }
}
