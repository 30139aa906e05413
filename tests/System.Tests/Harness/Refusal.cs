using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Shouldly;

namespace Pipeline.SystemTests.Harness;

/// <summary>How RabbitMQ refuses what a user may not do: it closes the channel with 403.</summary>
internal static class Refusal
{
    private static readonly TimeSpan CloseLimit = TimeSpan.FromSeconds(60);

    /// <param name="connection">The user's; each refusal closes a channel, so each has one of its own.</param>
    /// <param name="act">What is tried.</param>
    /// <param name="verb">What it is called, for the message.</param>
    /// <param name="what">What it is tried on.</param>
    public static Task ShouldBeRefusedAsync(
        IConnection connection,
        Func<IChannel, ValueTask> act,
        string verb,
        string what
    ) => ShouldBeRefusedAsync(connection, x => act(x).AsTask(), verb, what);

    public static async Task ShouldBeRefusedAsync(
        IConnection connection,
        Func<IChannel, Task> act,
        string verb,
        string what
    )
    {
        await using var channel = await connection.CreateChannelAsync();
        var closed = new TaskCompletionSource<ushort>(TaskCreationOptions.RunContinuationsAsynchronously);
        channel.ChannelShutdownAsync += (_, reason) =>
        {
            closed.TrySetResult(reason.ReplyCode);
            return Task.CompletedTask;
        };
        try
        {
            await act(channel);
        }
        catch (OperationInterruptedException e)
        {
            closed.TrySetResult(e.ShutdownReason?.ReplyCode ?? 0);
        }

        // A publish has no answer of its own: the broker closes the channel a moment later.
        if (verb != "publish")
            channel.IsOpen.ShouldBeFalse($"{verb} {what} was allowed");
        (await closed.Task.WaitAsync(CloseLimit)).ShouldBe((ushort)403, $"{verb} {what}: ACCESS_REFUSED");
    }
}
