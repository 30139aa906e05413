using System.Runtime.CompilerServices;
using MassTransit;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Deleting;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Deleting;

public sealed class DeletionTableTests : SagaTable
{
    private protected override StateMachine Machine { get; } =
        new DeletionStateMachine(
            (DeletionDesk)RuntimeHelpers.GetUninitializedObject(typeof(DeletionDesk)),
            new SagaCommands(TimeProvider.System)
        );

    private protected override string Page => "docs/deletion.md";
}
