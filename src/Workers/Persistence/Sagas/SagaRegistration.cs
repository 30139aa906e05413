using MassTransit;
using MassTransit.Configuration;
using MassTransit.Saga;

namespace Pipeline.Workers.Persistence.Sagas;

internal static class SagaRegistration
{
    /// <summary>Keeps the saga in PostgreSQL, one transaction a message.</summary>
    public static ISagaRegistrationConfigurator<TSaga> PostgresRepository<TSaga>(
        this ISagaRegistrationConfigurator<TSaga> saga
    )
        where TSaga : class, ISaga
    {
        saga.Repository(x =>
            x.RegisterSagaRepository<
                TSaga,
                PipelineDbContext,
                SagaConsumeContextFactory<PipelineDbContext, TSaga>,
                SagaTransactionFactory<TSaga>
            >()
        );
        return saga;
    }
}
