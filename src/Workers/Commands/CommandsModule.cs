using MassTransit;
using MassTransit.Middleware;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Commands;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class CommandsModule
{
    // The receipt of a project's storyboard is all that tells which one is the newest: an older one that is replayed
    // must find it. So each project keeps that one.
    private const string OldReceipts = """
        t.at < $1
        and not (t.command = 'define-scenes' and t.outcome in ('applied', 'unchanged') and not exists (
            select from pipeline.receipts n where n.project_id = t.project_id and n.command = 'define-scenes'
                and n.outcome in ('applied', 'unchanged') and n.place > t.place))
        """;

    // A receipt stays, so that its command has no effect a second time; what it quotes goes.
    private static void AddErasure(IBusRegistrationConfigurator bus)
    {
        const string Erased = "'Erased with its project.'";
        bus.AddSingleton(
            ErasureRule.Update(
                "receipts",
                "receipts",
                $"reason = case when reason is not null then {Erased} end, announcements = '[]'",
                $"""
                t.project_id = $1 and t.command <> 'erase-project'
                and (t.reason <> {Erased} or t.announcements::text <> '[]')
                """
            )
        );
        bus.AddSingleton(ErasureRule.Delete("receipt-conflicts", "receipt_conflicts", "t.project_id = $1"));
        bus.AddSingleton(ErasureRule.Delete("object-holds", "object_holds", "t.project_id = $1"));
    }

    /// <summary>Adds what every slice with commands needs, and the queue of dead letters' copies.</summary>
    /// <exception cref="InvalidOperationException">A setting cannot be right; the process must not start.</exception>
    public static void AddCommands(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        var keep = RetentionRule.Read(configuration, "Receipts", days: 90);
        bus.AddSingleton(new RetentionRule("receipts", OldReceipts, keep));
        bus.AddSingleton(new RetentionRule("receipt_conflicts", "t.at < $1", keep));
        // A failure that is not on record any more is nobody's to replay.
        bus.AddSingleton(new RetentionRule("object_holds", "t.held_at < $1", keep));
        AddErasure(bus);
        bus.AddSingleton<CommandRunner>();
        bus.AddSingleton<CommandContents>();
        bus.AddSingleton<CommandFailures>();
        bus.AddSingleton<FailedCommandFilter>();
        bus.AddSingleton(new WorkQueue(DeadLetterCopy.Queue));
        bus.AddConsumer<GivenUpCommandConsumer, GivenUpCommandConsumerDefinition>();
        bus.AddSingleton<SagaCommands>();
        bus.AddConfigureEndpointsCallback(
            (context, _, endpoint) =>
            {
                var filter = context.GetRequiredService<FailedCommandFilter>();
                endpoint.ConfigureError(x =>
                {
                    x.UseFilter(filter);
                    x.UseFilter(new GenerateFaultFilter()); // These two are what MassTransit has by itself.
                    x.UseFilter(new ErrorTransportFilter());
                });
                endpoint.ConfigureDeadLetter(x =>
                {
                    x.UseFilter(filter);
                    x.UseFilter(new DeadLetterTransportFilter());
                });
            }
        );
    }
}
