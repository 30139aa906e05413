using Pipeline.Wire;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Publisher.Publishing;

/// <summary>Tells what went wrong at the broker so that a person knows what to do.</summary>
internal static class BrokerFailures
{
    // AMQP 0-9-1, "constants": reply codes of channel.close and connection.close.
    private const ushort AccessRefused = 403;
    private const ushort NotFound = 404;
    private const ushort PreconditionFailed = 406;
    private const ushort NotAllowed = 530;

    public static string Describe(PublishFailedException failure) =>
        Causes(failure)
            .Select(cause =>
                cause switch
                {
                    QueueFullException full =>
                        $"{full.Message} Nothing was queued. Wait until the workers have caught up ('publisher lanes' shows whether they run), then send it again under the same id, which takes effect once.",
                    AuthenticationFailureException or PossibleAuthenticationFailureException =>
                        "RabbitMQ refused the credentials in Publisher__RabbitMq.",
                    OperationInterruptedException { ShutdownReason.ReplyCode: NotFound } missing =>
                        $"RabbitMQ: {missing.ShutdownReason?.ReplyText}. Are the workers running? They declare the routes.",
                    OperationInterruptedException { ShutdownReason.ReplyCode: NotAllowed } vhost =>
                        $"RabbitMQ does not let this user into the virtual host in Publisher__RabbitMq: {vhost.ShutdownReason?.ReplyText}.",
                    OperationInterruptedException
                    {
                        ShutdownReason.ReplyCode: AccessRefused or PreconditionFailed
                    } refused => $"RabbitMQ: {refused.ShutdownReason?.ReplyText}.",
                    _ => null,
                }
            )
            .FirstOrDefault(x => x is not null)
        ?? (
            Causes(failure).Any(x => x is BrokerUnreachableException)
                ? $"RabbitMQ does not answer at the address in Publisher__RabbitMq: {failure.GetBaseException().Message}"
                : failure.Message
        );

    /// <summary>True where a queue has refused the message, or one before it in its run, because it is full.</summary>
    public static bool IsQueueFull(PublishFailedException failure) => Causes(failure).Any(x => x is QueueFullException);

    /// <summary>True where sending it again may help; false where somebody must change something first.</summary>
    public static bool IsTransient(PublishFailedException failure) =>
        !Causes(failure)
            .Any(x =>
                x is AuthenticationFailureException or PossibleAuthenticationFailureException
                || x
                    is OperationInterruptedException
                    {
                        ShutdownReason.ReplyCode: NotFound or NotAllowed or AccessRefused or PreconditionFailed
                    }
            );

    private static IEnumerable<Exception> Causes(Exception error)
    {
        yield return error;
        IEnumerable<Exception> inner =
            error is AggregateException several ? several.InnerExceptions
            : error.InnerException is { } one ? [one]
            : [];
        foreach (var cause in inner.SelectMany(Causes))
            yield return cause;
    }
}
