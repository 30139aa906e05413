namespace Pipeline.Workers.Commands;

/// <summary>
/// Carries out one kind of command that is neither a lane's nor a saga's. Register it with
/// <see cref="CommandQueues.AddCommand{T, THandler}"/>. Handlers that can be one of the two classes below should be; one
/// that implements this itself writes the receipt with <see cref="CommandWork.EndAsync"/> in the transaction of its
/// effect, or hands the command over to what does.
/// </summary>
/// <typeparam name="T">The command.</typeparam>
internal interface ICommandHandler<in T>
    where T : class
{
    /// <param name="runner">For the transaction with the receipt.</param>
    /// <param name="request">The delivery.</param>
    /// <param name="command">The same, as it was read.</param>
    /// <param name="cancellation">The process stops; the broker delivers the command again.</param>
    Task HandleAsync(CommandRunner runner, CommandRequest request, T command, CancellationToken cancellation);
}

/// <summary>A command whose effect is rows: all of it happens in the transaction with its receipt.</summary>
/// <typeparam name="T">The command.</typeparam>
internal abstract class RowCommandHandler<T> : ICommandHandler<T>
    where T : class
{
    public Task HandleAsync(CommandRunner runner, CommandRequest request, T command, CancellationToken cancellation) =>
        runner.RunAsync(request, work => DecideAsync(work, command), cancellation);

    /// <returns>Null where the command is taken in, and gets its receipt when the work is done.</returns>
    protected abstract Task<Decision?> DecideAsync(CommandWork work, T command);
}

/// <summary>
/// A command that begins with slow work outside of the database, which may be done twice: no transaction is open
/// meanwhile, and a crash repeats it.
/// </summary>
/// <typeparam name="T">The command.</typeparam>
internal abstract class SlowCommandHandler<T> : ICommandHandler<T>
    where T : class
{
    public async Task HandleAsync(
        CommandRunner runner,
        CommandRequest request,
        T command,
        CancellationToken cancellation
    )
    {
        if (await runner.RecallAsync(request, cancellation))
            return;
        var end = await PrepareAsync(request, command, cancellation);
        if ((await runner.RunAsync(request, async work => await end(work), cancellation)).Decision is { } decision)
            Ended(request, decision);
    }

    /// <summary>Does the slow work.</summary>
    /// <returns>Writes the rows that belong to it, in the transaction with the receipt.</returns>
    protected abstract Task<Func<CommandWork, Task<Decision>>> PrepareAsync(
        CommandRequest request,
        T command,
        CancellationToken cancellation
    );

    /// <summary>The decision is committed, by this delivery and no other.</summary>
    protected virtual void Ended(CommandRequest request, Decision decision) { }
}
