using System.Runtime.CompilerServices;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Looks at dead letters without changing anything: queue after queue, each in one pass.</summary>
internal static class Peek
{
    /// <param name="broker">The broker.</param>
    /// <param name="queues">Dead-letter queues.</param>
    /// <param name="selection">Which letters.</param>
    /// <param name="clock">Tells their age.</param>
    /// <param name="cut">Told of a queue that holds more than one pass can look at.</param>
    /// <param name="cancellation">Ends the look; everything goes back into its place.</param>
    public static async IAsyncEnumerable<DeadLetter> ReadAsync(
        Uri broker,
        IEnumerable<string> queues,
        LetterSelection selection,
        TimeProvider clock,
        Func<string, Task> cut,
        [EnumeratorCancellation] CancellationToken cancellation
    )
    {
        foreach (var queue in queues)
        {
            await using var pass = await DeskPass.OpenAsync(broker, queue, cancellation);
            await foreach (var letter in pass.ReadAsync(cancellation))
            {
                if (selection.Takes(letter, clock.GetUtcNow()))
                    yield return letter;
            }

            if (!pass.SeesAll)
                await cut(
                    $"{queue} holds more than the {DeskPass.Width} messages that can be looked at: the rest is not counted."
                );
        }
    }
}
