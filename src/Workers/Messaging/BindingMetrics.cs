using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Messaging;

/// <summary>What the check of bindings measures in this process.</summary>
internal sealed class BindingMetrics
{
    private readonly Counter<long> _removed;

    public BindingMetrics(IMeterFactory meters) =>
        _removed = meters
            .Create("Pipeline.Workers.Messaging")
            .CreateCounter<long>("pipeline.bindings.removed", "{binding}", "Bindings of events to commands");

    public void Removed(BrokerBinding binding) =>
        _removed.Add(1, new KeyValuePair<string, object?>("destination", binding.Destination));
}
