using System.Globalization;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Serving;

/// <summary>The query's <c>limit</c> and <c>offset</c>, and the address of the next page.</summary>
internal static class Paging
{
    public const int LimitDefault = 100;

    /// <exception cref="BadHttpRequestException">No number, or out of range; nothing is clamped in silence.</exception>
    public static Page Of(HttpRequest request) =>
        new(Number(request, "limit", LimitDefault, 1, Page.LimitMax), Number(request, "offset", 0, 0, Page.OffsetMax));

    /// <returns>Null on the last page.</returns>
    public static string? Next<T>(HttpRequest request, Page page, List<T> rows)
    {
        if (rows.Count < page.Limit || page.Offset + page.Limit > Page.OffsetMax)
            return null;
        var query = request.Query.Where(x => x.Key is not ("limit" or "offset"));
        return request.Path
            + QueryString
                .Create(query)
                .Add("limit", page.Limit.ToString(CultureInfo.InvariantCulture))
                .Add("offset", (page.Offset + page.Limit).ToString(CultureInfo.InvariantCulture));
    }

    private static int Number(HttpRequest request, string name, int absent, int min, int max)
    {
        if (!request.Query.TryGetValue(name, out var text))
            return absent;
        return
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number >= min
            && number <= max
            ? number
            : throw new BadHttpRequestException($"{name}: must be a number from {min} to {max}.");
    }
}
