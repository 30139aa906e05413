using System.Runtime.CompilerServices;
using MassTransit;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Generation;

public sealed class GenerationTableTests : SagaTable
{
    private protected override StateMachine Machine { get; } =
        new GenerationStateMachine(
            (GenerationDesk)RuntimeHelpers.GetUninitializedObject(typeof(GenerationDesk)),
            new SweepCheck(new GenerationOptions()),
            (GenerationRemoval)RuntimeHelpers.GetUninitializedObject(typeof(GenerationRemoval)),
            new SagaCommands(TimeProvider.System),
            (GenerationMetrics)RuntimeHelpers.GetUninitializedObject(typeof(GenerationMetrics))
        );

    private protected override string Page => "docs/generation.md";
}
