using System.Collections.Concurrent;
using System.Data.Common;
using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Tests.Plans;

/// <summary>
/// The SQL that EF Core makes of queries. No text of it is in the code, so the methods are called, with arguments that
/// say nothing, and what they send is written down.
/// </summary>
internal sealed class LinqStatements(NpgsqlDataSource source) : IDbContextFactory<PipelineDbContext>
{
    private readonly Recorder _recorder = new();

    public PipelineDbContext CreateDbContext()
    {
        var options = new DbContextOptionsBuilder<PipelineDbContext>();
        PersistenceRoom.Configure(options, source);
        options.AddInterceptors(_recorder);
        return new PipelineDbContext(options.Options);
    }

    /// <summary>What all methods of this name send.</summary>
    /// <param name="site">As <see cref="ProductSql.Name"/> has it.</param>
    /// <param name="assembly">The methods'.</param>
    public async Task<IEnumerable<SqlText>> OfAsync(string site, Assembly assembly)
    {
        _recorder.Sent.Clear();
        var (type, name) = (assembly.GetType(site[..site.LastIndexOf('.')])!, site[(site.LastIndexOf('.') + 1)..]);
        foreach (var method in type.GetRuntimeMethods().Where(x => x.Name == name))
        {
            await using var db = CreateDbContext();
            var arguments = method.GetParameters().Select(x => Argument(x.ParameterType, db)).ToArray();
            var result = method.Invoke(method.IsStatic ? null : Owner(type), arguments);
            if (result is Task task)
                await task;
            else if (result is IQueryable query)
                _recorder.Sent.Enqueue(query.ToQueryString());
        }

        return _recorder.Sent.Select(x => new SqlText(site, WithoutComments(x))).ToArray();
    }

    /// <summary>Rows of an entity are found, changed and deleted by its key.</summary>
    public IEnumerable<SqlText> ByKey()
    {
        using var db = CreateDbContext();
        return
        [
            .. db
                .Model.GetEntityTypes()
                .Select(x => new SqlText(
                    x.ClrType.FullName!,
                    $"select 1 from pipeline.{x.GetTableName()} where "
                        + string.Join(
                            " and ",
                            x.FindPrimaryKey()!.Properties.Select((p, i) => $"{p.GetColumnName()} = ${i + 1}")
                        )
                )),
        ];
    }

    private static object? Argument(Type type, PipelineDbContext db) =>
        type == typeof(PipelineDbContext) ? db
        : type.IsValueType ? Activator.CreateInstance(type)
        : type.IsClass ? RuntimeHelpers.GetUninitializedObject(type)
        : null;

    private object Owner(Type type)
    {
        var owner = RuntimeHelpers.GetUninitializedObject(type);
        foreach (var field in type.GetRuntimeFields().Where(x => x.FieldType.IsInstanceOfType(this)))
            field.SetValue(owner, this);
        return owner;
    }

    // ToQueryString tells the values of the parameters before the statement.
    private static string WithoutComments(string sql) =>
        string.Join('\n', sql.Split('\n').Where(x => !x.StartsWith("--", StringComparison.Ordinal))).Trim();

    private sealed class Recorder : DbCommandInterceptor
    {
        public ConcurrentQueue<string> Sent { get; } = [];

        public override ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
            DbCommand command,
            CommandEventData eventData,
            InterceptionResult<DbDataReader> result,
            CancellationToken cancellationToken = default
        )
        {
            Sent.Enqueue(command.CommandText);
            return base.ReaderExecutingAsync(command, eventData, result, cancellationToken);
        }
    }
}
