using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;
using Pipeline.Publisher.Publishing;

namespace Pipeline.Publisher.Uploading;

/// <summary>
/// Reads a form with files (RFC 7578) part by part as it comes in: fields, behind them the files that they are about.
/// <c>sceneId</c>, <c>sceneIndex</c> and <c>slot</c> hold for all files that follow, the slot rising by one with each;
/// <c>imageId</c> and <c>commandId</c> are the next file's alone.
/// </summary>
internal sealed class UploadForm(UploadDoor door, UploadLimits limits) : IDisposable
{
    private const int BoundaryLength = 70; // RFC 2046, section 5.1.1
    private const int FieldBytes = 1_024;
    private const int FieldsPerFile = 8;

    private readonly List<UploadedPicture> _pictures = [];
    private UploadPlace _place = new(null, null, 0, null, null);
    private int _fields;

    public IReadOnlyList<UploadedPicture> Pictures => _pictures;

    /// <returns>Null, or the first problem; nothing behind it was read.</returns>
    /// <exception cref="InvalidDataException">A part's headers or a field are too large.</exception>
    /// <exception cref="IOException">The form is cut off.</exception>
    public async Task<string?> ReadAsync(MediaTypeHeaderValue type, Stream body, CancellationToken cancellation)
    {
        var boundary = HeaderUtilities.RemoveQuotes(type.Boundary).Value;
        if (string.IsNullOrEmpty(boundary) || boundary.Length > BoundaryLength)
            return $"content-type: must name a boundary of 1 to {BoundaryLength} characters";

        var reader = new MultipartReader(boundary, body);
        while (await reader.ReadNextSectionAsync(cancellation) is { } section)
        {
            var problem = section.GetContentDispositionHeader() switch
            {
                { } file when file.IsFileDisposition() => await ReadFileAsync(file, section.Body, cancellation),
                { } field when field.IsFormDisposition() => await ReadFieldAsync(field, section, cancellation),
                _ => "form: each part must be a field or a file",
            };
            if (problem is not null)
                return problem;
        }

        return _pictures.Count == 0 ? "files: there is none" : null;
    }

    public void Dispose() => _pictures.ForEach(x => x.Dispose());

    private async Task<string?> ReadFileAsync(
        ContentDispositionHeaderValue disposition,
        Stream content,
        CancellationToken cancellation
    )
    {
        var at = $"files[{_pictures.Count}]";
        if (_pictures.Count == limits.FilesPerRequest)
            return $"files: must be at most {limits.FilesPerRequest}";

        // The starred form carries other characters than ASCII, and wins where both are given (RFC 6266).
        var starred = disposition.FileNameStar.Value;
        var name =
            (string.IsNullOrEmpty(starred) ? HeaderUtilities.RemoveQuotes(disposition.FileName).Value : starred) ?? "";
        if (FileNames.Refuse(name) is { } rule)
            return $"{at}.fileName: {rule}";
        if (
            PlaceRules.Problems(_place.ImageId, _place.SceneId, _place.SceneIndex, _place.Slot).FirstOrDefault() is
            { } wrong
        )
            return $"{at}.{wrong}";
        if (_pictures.Exists(x => x.Name == name && SamePlace(x.Place)))
            return $"{at}.fileName: stands twice for this place";

        switch (await door.CheckAsync(content, cancellation))
        {
            case CheckedFile taken:
                _pictures.Add(new UploadedPicture(name, _place, taken));
                _place = _place with { Slot = _place.Slot + 1, ImageId = null, CommandId = null };
                _fields = 0;
                return null;
            case RefusedFile refused:
                return $"{at}.content: {refused.Reason}";
            case var other:
                throw new NotSupportedException(other.ToString());
        }
    }

    private bool SamePlace(UploadPlace other) =>
        (other.SceneId, other.SceneIndex, other.Slot) == (_place.SceneId, _place.SceneIndex, _place.Slot);

    private async Task<string?> ReadFieldAsync(
        ContentDispositionHeaderValue disposition,
        MultipartSection section,
        CancellationToken cancellation
    )
    {
        if (++_fields > FieldsPerFile)
            return $"form: must have at most {FieldsPerFile} fields before a file";
        var name = HeaderUtilities.RemoveQuotes(disposition.Name).Value;
        using var text = new StreamReader(section.Body, leaveOpen: true);
        var buffer = new char[FieldBytes + 1];
        var length = await text.ReadBlockAsync(buffer, cancellation);
        if (length > FieldBytes)
            return $"{name}: must have at most {FieldBytes} characters";
        var value = new string(buffer, 0, length);

        (var place, var rule) = name switch
        {
            "sceneId" => (_place with { SceneId = value.Length == 0 ? null : value }, null),
            "sceneIndex" when int.TryParse(value, out var index) => (_place with { SceneIndex = index }, null),
            "slot" when int.TryParse(value, out var slot) => (_place with { Slot = slot }, null),
            "imageId" when Guid.TryParse(value, out var id) => (_place with { ImageId = id }, null),
            "commandId" when Guid.TryParse(value, out var id) && id != Guid.Empty => (
                _place with
                {
                    CommandId = id,
                },
                null
            ),
            "sceneIndex" or "slot" => (_place, "must be a whole number"),
            "imageId" or "commandId" => (_place, "must be a UUID, and not all zeros"),
            _ => (_place, (string?)"is no field of an upload; take sceneId, sceneIndex, slot, imageId, commandId"),
        };
        _place = place;
        return rule is null ? null : $"{name}: {rule}";
    }
}
