using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Pipeline.Contracts;

namespace Pipeline.Wire.Schemas;

/// <summary>
/// Reads a contract's shape off its record: types, nullability and attributes (how, says <see cref="Contracts.Limits"/>).
/// </summary>
/// <param name="docs">For the descriptions.</param>
/// <param name="isCommand">
/// Others send it: they choose the ids, which are then never all zeros, and the texts, which then never hold U+0000.
/// </param>
internal sealed class ShapeReader(ContractDocs docs, bool isCommand)
{
    private readonly NullabilityInfoContext _nullability = new();

    /// <exception cref="NotSupportedException">A contract has a type that messages do not use yet; a test sees it first.</exception>
    public ObjectShape ReadRecord(Type record, bool isNullable = false, string? description = null)
    {
        var properties = record.GetConstructors().Single().GetParameters().Select(x => ReadProperty(record, x));
        return new ObjectShape([.. properties]) { IsNullable = isNullable, Description = description };
    }

    private PropertyShape ReadProperty(Type record, ParameterInfo parameter)
    {
        var property = record.GetProperty(parameter.Name!)!;
        var isNullable = _nullability.Create(parameter).ReadState == NullabilityState.Nullable;
        var fallback = property.GetCustomAttribute<DefaultValueAttribute>()?.Value;
        var shape = Read(parameter, isNullable, docs.OfProperty(record, parameter.Name!), fallback);
        var name = JsonNamingPolicy.CamelCase.ConvertName(parameter.Name!);
        return new PropertyShape(name, IsRequired: !isNullable && fallback is null, shape);
    }

    private Shape Read(ParameterInfo parameter, bool isNullable, string? description, object? fallback)
    {
        var type = Nullable.GetUnderlyingType(parameter.ParameterType) ?? parameter.ParameterType;
        var length = parameter.GetCustomAttribute<LengthAttribute>();
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>))
        {
            var (name, value) = (Text(parameter, lengthMin: 1), Text(parameter, lengthMin: 0));
            return new MapShape(name, value)
            {
                IsNullable = isNullable,
                Description = description,
                CountMax = length?.MaximumLength,
            };
        }

        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>))
        {
            return new ListShape(Scalar(parameter, type.GetGenericArguments()[0], false, null, null))
            {
                IsNullable = isNullable,
                Description = description,
                CountMin = length?.MinimumLength ?? 0,
                CountMax = length?.MaximumLength,
            };
        }

        return Scalar(parameter, type, isNullable, description, fallback);
    }

    private Shape Scalar(ParameterInfo parameter, Type type, bool isNullable, string? description, object? fallback)
    {
        var range = parameter.GetCustomAttribute<RangeAttribute>();
        if (type == typeof(int) || type == typeof(long))
        {
            return new NumberShape(type == typeof(int) ? 32 : 64)
            {
                IsNullable = isNullable,
                Description = description,
                Default = fallback,
                Min = range is null ? null : Convert.ToInt64(range.Minimum, CultureInfo.InvariantCulture),
                Max = range is null ? null : Convert.ToInt64(range.Maximum, CultureInfo.InvariantCulture),
            };
        }

        if (type == typeof(string))
            return Text(parameter, lengthMin: null, isNullable, description);
        if (type == typeof(Guid))
            return new IdShape
            {
                IsNullable = isNullable,
                Description = description,
                MayBeZero = !isCommand,
            };
        if (type == typeof(bool))
            return new FlagShape
            {
                IsNullable = isNullable,
                Description = description,
                Default = fallback,
            };
        if (type == typeof(DateTimeOffset))
            return new MomentShape { IsNullable = isNullable, Description = description };
        if (type == typeof(TimeSpan))
            return new SpanShape { IsNullable = isNullable, Description = description };
        if (type.Assembly == typeof(ILaneCommand).Assembly)
            return ReadRecord(type, isNullable, description);
        throw new NotSupportedException($"{parameter.Member.DeclaringType}.{parameter.Name}: no schema for {type}.");
    }

    private TextShape Text(ParameterInfo parameter, int? lengthMin, bool isNullable = false, string? description = null)
    {
        var length = parameter.GetCustomAttribute<StringLengthAttribute>();
        var pattern = parameter.GetCustomAttribute<RegularExpressionAttribute>();
        var allowed = parameter.GetCustomAttribute<AllowedValuesAttribute>();
        // PostgreSQL keeps U+0000 in no text: what a command may say freely must not say that.
        var isFree = isCommand && pattern is null && allowed is null;
        return new TextShape(isFree ? Patterns.NoNul : pattern?.Pattern)
        {
            IsNullable = isNullable,
            Description = description,
            LengthMin = lengthMin ?? length?.MinimumLength ?? 0,
            LengthMax = length?.MaximumLength,
            PatternRule = isFree ? Patterns.NoNulRule : pattern?.ErrorMessage,
            Allowed = allowed is null ? null : [.. allowed.Values.OfType<string>()],
            IsSecret = parameter.GetCustomAttribute<DataTypeAttribute>()?.DataType == DataType.Password,
            Format = parameter.IsDefined(typeof(UrlAttribute)) ? "uri" : null,
        };
    }
}
