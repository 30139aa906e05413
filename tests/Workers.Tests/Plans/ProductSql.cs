using System.Collections;
using System.Linq.Expressions;
using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore;

namespace Pipeline.Workers.Tests.Plans;

/// <summary>SQL of the product.</summary>
/// <param name="Site">The method that sends it, or the object that holds it.</param>
/// <param name="Text">A statement, several of them, or a part of one.</param>
internal sealed record SqlText(string Site, string Text);

/// <summary>
/// The SQL that an assembly can send, read from its compiled code: each string that a method loads is there, whatever
/// it is called and wherever it is. The compiler has put constants together already; what is put together at run time
/// is read from the objects that hold it.
/// </summary>
internal static partial class ProductSql
{
    private const BindingFlags Declared =
        BindingFlags.Static
        | BindingFlags.Instance
        | BindingFlags.Public
        | BindingFlags.NonPublic
        | BindingFlags.DeclaredOnly;

    /// <summary>Whole statements, and parts of those that are put together at run time.</summary>
    public static IEnumerable<SqlText> Texts(Assembly assembly) =>
        Methods(assembly)
            .SelectMany(x => CompiledCode.Loaded(x).OfType<string>().Select(text => new SqlText(Name(x), text)))
            .Where(x => IsSql().IsMatch(x.Text));

    /// <summary>Statements that objects hold: their properties whose names end on Sql.</summary>
    public static IEnumerable<SqlText> Held(IEnumerable<object> owners) =>
        from owner in owners
        from property in owner.GetType().GetProperties()
        where property.Name.EndsWith("Sql", StringComparison.Ordinal) && property.PropertyType == typeof(string)
        let text = (string?)property.GetValue(owner)
        where text is not null
        select new SqlText($"{owner.GetType().FullName}.{property.Name}", text);

    /// <summary>Objects in static fields.</summary>
    public static IEnumerable<object> Statics(Assembly assembly) =>
        assembly
            .GetTypes()
            .Where(x => !x.ContainsGenericParameters)
            .SelectMany(x => x.GetFields(Declared))
            .Where(x => x is { IsStatic: true, IsLiteral: false } && x.FieldType.Assembly == assembly)
            .Select(x => x.GetValue(null))
            .OfType<object>()
            .Where(x => x is not IEnumerable);

    /// <summary>Methods that make a query of an expression, which EF Core writes as SQL.</summary>
    public static IEnumerable<MethodBase> WithQueries(Assembly assembly) =>
        Methods(assembly).Where(x => CompiledCode.Loaded(x).OfType<MethodInfo>().Any(TakesExpression));

    /// <summary>As the source has it: what the compiler made of a lambda or an async method is its method's.</summary>
    public static string Name(MethodBase method)
    {
        var (type, name) = (method.DeclaringType!, method.Name);
        for (; type.IsNested && type.Name.Contains('<', StringComparison.Ordinal); type = type.DeclaringType!)
        {
            if (Generated().Match(type.Name) is { Success: true } of)
                name = of.Groups["method"].Value;
        }

        return $"{type.FullName}.{(Generated().Match(name) is { Success: true } x ? x.Groups["method"].Value : name)}";
    }

    private static IEnumerable<MethodBase> Methods(Assembly assembly) =>
        assembly
            .GetTypes()
            .SelectMany(x => x.GetMethods(Declared).Cast<MethodBase>().Concat(x.GetConstructors(Declared)));

    private static bool TakesExpression(MethodInfo method) =>
        (
            method.DeclaringType == typeof(Queryable)
            || method.DeclaringType == typeof(EntityFrameworkQueryableExtensions)
        ) && method.GetParameters().Any(x => x.ParameterType.IsAssignableTo(typeof(LambdaExpression)));

    // The beginning of a statement, or a table in any part of one.
    [GeneratedRegex(
        @"^\s*(select|insert into|update|delete from|with \w+( \([^)]*\))? as)\s|\b(from|join|into|update|using)\s+(pipeline|status)\.",
        RegexOptions.ExplicitCapture,
        1000
    )]
    private static partial Regex IsSql();

    [GeneratedRegex("^<(?<method>[^>]+)>", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Generated();
}
