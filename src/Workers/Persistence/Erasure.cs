namespace Pipeline.Workers.Persistence;

/// <summary>Rows of one table that hold a project's content. Who owns the table registers the rule.</summary>
/// <param name="Location">As the report names it.</param>
/// <param name="Sql">
/// Deletes them, or what they say: up to <c>$2</c> rows of the project <c>$1</c>. It affects no row twice.
/// </param>
internal sealed record ErasureRule(string Location, string Sql)
{
    /// <param name="location">As the report names it.</param>
    /// <param name="table">In schema <c>pipeline</c>.</param>
    /// <param name="where">SQL that is true of the project's rows; <c>t</c> is the table.</param>
    public static ErasureRule Delete(string location, string table, string where) =>
        new(location, $"delete from pipeline.{table} {Batch(table, where)}");

    /// <param name="location">As the report names it.</param>
    /// <param name="table">In schema <c>pipeline</c>.</param>
    /// <param name="set">What is said instead.</param>
    /// <param name="where">SQL that is true of the project's rows that still say something; <c>t</c> is the table.</param>
    public static ErasureRule Update(string location, string table, string set, string where) =>
        new(location, $"update pipeline.{table} set {set} {Batch(table, where)}");

    private static string Batch(string table, string where) =>
        $"where ctid = any(array(select t.ctid from pipeline.{table} t where {where} limit $2 for update))";
}

/// <summary>Work on a project that must end before its content is erased: it would write more of it.</summary>
/// <param name="For">What is waited for, for people.</param>
/// <param name="Sql">True while the project <c>$1</c> has such work.</param>
/// <param name="HastenSql">Has it end sooner; null where it ends by itself.</param>
internal sealed record ErasureWait(string For, string Sql, string? HastenSql = null);

/// <summary>Objects of the bucket that belong to a project and are not under its prefix.</summary>
/// <param name="Location">As the report names it.</param>
/// <param name="Sql">
/// Up to <c>$2</c> keys of the project <c>$1</c> behind the key <c>$3</c>, in their order. A rule deletes the rows that
/// name them.
/// </param>
internal sealed record ErasureObjects(string Location, string Sql);

/// <summary>What others have removed because the project was deleted, for the report.</summary>
/// <param name="Location">As the report names it.</param>
/// <param name="Sql">How much, of the project <c>$1</c>.</param>
internal sealed record ErasureCount(string Location, string Sql);

/// <summary>Ids besides the project's own by which a message is known to be about its content.</summary>
/// <param name="Sql">The ids for the project <c>$1</c>.</param>
internal sealed record ErasureNames(string Sql);
