using System.Security.Cryptography;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;

namespace Pipeline.Workers.Generation;

/// <summary>What makes two requests the same: everything that changes the picture, and nothing else.</summary>
/// <param name="Hash"><c>image|</c> and the SHA-256 of the canonical form, in hexadecimal.</param>
/// <param name="GenerationId">Derived from the hash, so that the same picture is the same saga.</param>
internal sealed record RequestIdentity(string Hash, Guid GenerationId)
{
    // The namespace of generation ids: any fixed value that nothing else uses.
    private static readonly Guid Space = Guid.Parse("6f1c7d2e-3b58-4c7a-9a53-0f6f6d2b8e11");

    /// <param name="request">The request.</param>
    /// <param name="scope">Whether the same image for another project is the same.</param>
    public static RequestIdentity Of(GenerateImage request, RenderingScope scope = RenderingScope.AllProjects)
    {
        // Members in a fixed order and options by name: the order in which a sender wrote them does not matter.
        var canonical = new
        {
            request.Model,
            request.Prompt,
            request.Width,
            request.Height,
            request.Seed,
            Options = request.Options?.OrderBy(x => x.Key, StringComparer.Ordinal).Select(x => new[] { x.Key, x.Value })
                ?? [],
            // A forced one is like no other, but like itself.
            Force = request.Force ? new CommandKey(request.ProjectId, request.CommandId).Derive("force") : (Guid?)null,
        };
        var content = WireJson.Write(canonical);
        if (scope == RenderingScope.Project)
            content = [.. request.ProjectId.ToByteArray(), .. content];
        var hash = $"image|{Convert.ToHexStringLower(SHA256.HashData(content))}";
        return new RequestIdentity(hash, NameBasedGuid.Create(Space, hash));
    }
}
