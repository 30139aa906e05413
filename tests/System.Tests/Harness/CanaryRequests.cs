using System.Text;
using Microsoft.AspNetCore.Http;
using Pipeline.Contracts.Generation;
using Pipeline.Workers.Tests.Formats;

namespace Pipeline.SystemTests.Harness;

/// <summary>Requests and answers of a provider that carry a text.</summary>
internal static class CanaryRequests
{
    /// <summary>A request whose prompt and options are the text.</summary>
    public static GenerateImage Ask(string model, Guid project, string prompt) =>
        Commands.Generate(model, prompt) with
        {
            ProjectId = project,
            SceneId = null,
            Options = new Dictionary<string, string>(StringComparer.Ordinal) { ["quality"] = prompt },
        };

    /// <summary>A provider that quotes what it refuses.</summary>
    public static ProviderStep Refuse(string text) =>
        call =>
        {
            call.Response.StatusCode = StatusCodes.Status400BadRequest;
            return call.Response.WriteAsync($$$"""{"error":{"code":"bad_prompt","message":"What is {{{text}}}?"}}""");
        };

    /// <summary>A PNG that says what it shows.</summary>
    public static string PictureWith(string text)
    {
        const int Header = 33; // Signature and first chunk.
        var file = TinyFiles.Png();
        byte[] whole =
        [
            .. file[..Header],
            .. TinyFiles.PngChunk("tEXt", Encoding.Latin1.GetBytes($"Comment\0{text}")),
            .. file[Header..],
        ];
        return $$"""{"created":1,"data":[{"b64_json":"{{Convert.ToBase64String(whole)}}"}]}""";
    }
}
