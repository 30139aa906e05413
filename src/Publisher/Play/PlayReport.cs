using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Play;

/// <summary>The end of a play: a table for people, and one line for programs.</summary>
internal static class PlayReport
{
    public static async Task PrintAsync(PlayPlan plan, PlayResult result, Uri? link, Screen screen)
    {
        if (!screen.Json)
        {
            foreach (var line in Table(plan, result, link))
                await screen.LineAsync(line);
            await screen.LineAsync("");
            await screen.LineAsync($"receipts: {ReceiptText.Counts(result.Receipts)}");
            if (result.Missing.Count > 0)
                await screen.LineAsync($"short of pictures: {string.Join(", ", result.Missing)}");
        }

        await screen.ObjectAsync(result);
    }

    public static IEnumerable<string> Table(PlayPlan plan, PlayResult result, Uri? link)
    {
        var table = new TextTable("index", "scene", "images", "first url");
        foreach (var scene in plan.Scenes)
        {
            var shown = PlayResult.Shown(result.Rows, scene.Id);
            var first = shown == 0 ? null : result.Rows[scene.Id].ImageUrls[0];
            table.Add(
                scene.Index,
                scene.Id,
                $"{shown}/{scene.Wanted}",
                first is null || link is null ? first : new Uri(link, first)
            );
        }

        return table.Lines();
    }
}
