namespace Pipeline.Workers.Persistence.Sagas;

/// <summary>
/// What a transition wants done once it is committed, and only then; in its message's payload. For what may get lost,
/// such as counting: a crash in between skips it.
/// </summary>
internal sealed class AfterCommit
{
    private readonly List<Action> _actions = [];

    public void Add(Action action) => _actions.Add(action);

    public void Run() => _actions.ForEach(x => x());
}
