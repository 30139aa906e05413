using System.Runtime.CompilerServices;
using MassTransit;
using Pipeline.Workers.Cataloguing;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Cataloguing;

public sealed class CatalogTableTests : SagaTable
{
    private protected override StateMachine Machine { get; } =
        new CatalogRebuildStateMachine(
            (CatalogRebuildDesk)RuntimeHelpers.GetUninitializedObject(typeof(CatalogRebuildDesk)),
            new SagaCommands(TimeProvider.System)
        );

    private protected override string Page => "docs/catalog.md";
}
