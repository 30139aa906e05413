using Pipeline.Contracts;

namespace Pipeline.Workers.Lanes;

/// <summary>Applies one type of lane command. A slice registers one for each of its commands.</summary>
internal interface ILaneHandler
{
    Type CommandType { get; }

    /// <summary>The rules that need no database.</summary>
    /// <returns>Null, or the field and the rule that it breaks.</returns>
    string? Refuse(ILaneCommand command);

    /// <summary>Decides each command, in order, inside the lane's transaction.</summary>
    /// <param name="transaction">Holds the projects' row locks, so that what is read stays true.</param>
    /// <param name="run">
    /// Neighbours in the lane, each with another command id; all of <see cref="CommandType"/>, none refused. Every one
    /// must be decided when the task ends.
    /// </param>
    /// <param name="cancellation">Ends the attempt; the transaction is rolled back.</param>
    /// <remarks>An exception rolls back and makes the lane try the commands one by one, to find the one that fails.</remarks>
    Task ApplyAsync(LaneTransaction transaction, IReadOnlyList<LaneEntry> run, CancellationToken cancellation);
}

/// <summary>A handler that sees its own command type.</summary>
internal abstract class LaneHandler<T> : ILaneHandler
    where T : class, ILaneCommand
{
    public Type CommandType => typeof(T);

    public string? Refuse(ILaneCommand command) => Refuse((T)command);

    public abstract Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    );

    protected abstract string? Refuse(T command);
}
