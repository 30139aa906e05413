namespace Pipeline.SystemTests.Harness;

/// <summary>
/// The states that generations came to, written down by a trigger of the test's own: in the transaction that came to
/// them, so that what was rolled back is not there.
/// </summary>
internal static class StateHistory
{
    private const string KeepSql = """
        create table public.history (
            position bigint generated always as identity, generation_id uuid, prompt text, state text);
        create function public.keep_history() returns trigger language plpgsql as $$
        declare
            now_in text := concat(new.current_state, ' ', new.attempt);
            last_in text;
        begin
            select state into last_in from public.history where generation_id = new.correlation_id
            order by position desc limit 1;
            if last_in is distinct from now_in then
                insert into public.history (generation_id, prompt, state)
                values (new.correlation_id, new.prompt, now_in);
            end if;
            return null;
        end $$;
        create trigger keep_history after insert or update on pipeline.generation_requests
            for each row execute function public.keep_history();
        """;

    public static async Task KeepHistoryAsync(this Stack stack)
    {
        await using var command = stack.Database.CreateCommand(KeepSql);
        await command.ExecuteNonQueryAsync();
    }

    /// <returns>Each state with its attempt, in order; such as <c>Rendering 1, Saving 1, Completed 1</c>.</returns>
    public static async Task<string> HistoryOfAsync(this Stack stack, string prompt) =>
        string.Join(
            ", ",
            await stack.RowsAsync(
                "select state from public.history where prompt = $1 order by position",
                x => x.GetString(0),
                prompt
            )
        );

    /// <returns>Each ended attempt with its outcome, in order; such as <c>1 transient, 2 succeeded</c>.</returns>
    public static async Task<string> AttemptsOfAsync(this Stack stack, string prompt) =>
        string.Join(
            ", ",
            await stack.RowsAsync(
                """
                select concat(a.attempt, ' ', a.outcome) from status.generation_attempts a
                join status.generations g on g.id = a.generation_id where g.prompt = $1 order by a.attempt
                """,
                x => x.GetString(0),
                prompt
            )
        );
}
