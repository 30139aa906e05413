using System.Globalization;
using Pipeline.Contracts;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Importing;

/// <summary>Finds out, before anything is sent, which pictures are meant and where each belongs.</summary>
internal static class ImportPlan
{
    public const int PictureLimit = 100_000;
    public const int SlotLimit = Limits.SlotLast;
    public const int UrlLength = 2_048;

    /// <summary>25 MiB: what the workers take, told before the upload.</summary>
    public const long FileLimit = Limits.PictureBytes;

    private static readonly HashSet<string> Extensions = new(StringComparer.OrdinalIgnoreCase)
    {
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".webp",
        ".avif",
    };

    /// <param name="sources">Directories, files and URLs.</param>
    /// <param name="scene">Scene of the files and URLs, and of what lies directly in a directory.</param>
    /// <param name="slot">Slot of the first file or URL; the next ones follow.</param>
    /// <param name="skipped">Called with each file in a directory that is no picture by its name.</param>
    /// <exception cref="UsageException">Something is not there, or has no clear place.</exception>
    public static IReadOnlyList<Picture> Of(
        IEnumerable<string> sources,
        string? scene,
        int? slot,
        Action<string> skipped
    )
    {
        var pictures = new List<Picture>();
        var next = slot ?? 0;
        foreach (var source in sources)
        {
            if (Directory.Exists(source))
            {
                if (slot is not null)
                    throw new UsageException(
                        $"{source}: --slot is for files and URLs; a directory's file names give the slots."
                    );
                pictures.AddRange(InDirectory(source, scene, skipped));
            }
            else
                pictures.Add(Single(source, scene, next++));

            if (pictures.Count > PictureLimit)
                throw new UsageException($"That is more than {PictureLimit} pictures: import it in parts.");
        }

        foreach (var picture in pictures)
            Check(picture);
        var twice = pictures.GroupBy(x => (x.SceneId, x.Slot, x.Name)).FirstOrDefault(x => x.Skip(1).Any());
        return twice is null ? pictures : throw new UsageException($"{twice.Key.Name} is named twice.");
    }

    /// <summary>One file or URL by itself.</summary>
    /// <exception cref="UsageException">It is not there, or cannot be a picture.</exception>
    public static Picture Single(string source)
    {
        var picture = Single(source, scene: null, slot: 0);
        Check(picture);
        return picture;
    }

    private static Picture Single(string source, string? scene, int slot)
    {
        if (source.Contains("://", StringComparison.Ordinal))
        {
            return
                Uri.TryCreate(source, UriKind.Absolute, out var url)
                && url.Scheme is "http" or "https"
                && source.Length <= UrlLength
                ? new Picture(source, source, IsUrl: true, scene, slot)
                : throw new UsageException(
                    $"{source}: must be an http or https address of at most {UrlLength} characters."
                );
        }

        return File.Exists(source)
            ? new Picture(Path.GetFileName(source), source, IsUrl: false, scene, slot)
            : throw new UsageException($"{source}: there is no such file or directory.");
    }

    private static List<Picture> InDirectory(string directory, string? scene, Action<string> skipped)
    {
        var folders = Directory
            .GetDirectories(directory)
            .Where(x => !Path.GetFileName(x).StartsWith('.'))
            .Order(StringComparer.Ordinal);
        var pictures = InFolder(directory, scene, prefix: "", skipped).ToList();
        foreach (var folder in folders)
        {
            var name = Path.GetFileName(folder);
            if (scene is not null)
                throw new UsageException(
                    $"{folder}: with --scene, a directory must hold pictures only, because its folders name scenes."
                );
            pictures.AddRange(InFolder(folder, name, $"{name}/", skipped));
        }

        return pictures.Count > 0
            ? pictures
            : throw new UsageException(
                $"{directory}: holds no pictures ({string.Join(", ", Extensions)}), as in scene-1/0.png."
            );
    }

    private static IEnumerable<Picture> InFolder(string folder, string? scene, string prefix, Action<string> skipped)
    {
        var files = new List<string>();
        foreach (var file in Directory.EnumerateFiles(folder).Where(x => !Path.GetFileName(x).StartsWith('.')))
        {
            if (Extensions.Contains(Path.GetExtension(file)))
                files.Add(file);
            else
                skipped(file);
        }

        // Numbers are slots. Other names only order the pictures; a mixture would let the two ways meet in one slot.
        var slots = files.Select(SlotOf).ToList();
        if (slots.TrueForAll(x => x is null))
        {
            return files
                .Order(StringComparer.Ordinal)
                .Select((x, i) => new Picture(prefix + Path.GetFileName(x), x, IsUrl: false, scene, i));
        }

        if (slots.Contains(null))
            throw new UsageException($"{folder}: some file names are slots (0.png) and some are not; rename them.");
        var twice = slots.GroupBy(x => x).FirstOrDefault(x => x.Skip(1).Any());
        if (twice is not null)
            throw new UsageException($"{folder}: two files are for slot {twice.Key}.");
        return files
            .Select((x, i) => new Picture(prefix + Path.GetFileName(x), x, IsUrl: false, scene, slots[i] ?? 0))
            .OrderBy(x => x.Slot);
    }

    private static int? SlotOf(string file) =>
        int.TryParse(
            Path.GetFileNameWithoutExtension(file),
            NumberStyles.None,
            CultureInfo.InvariantCulture,
            out var slot
        )
            ? slot
            : null;

    private static void Check(Picture picture)
    {
        if (picture.Slot > SlotLimit)
            throw new UsageException($"{picture.Location}: slot {picture.Slot} is beyond {SlotLimit}.");
        if (picture.SceneId is { } scene && (scene.Length is 0 or > 100 || scene.Any(char.IsControl)))
            throw new UsageException(
                $"{picture.Location}: a scene's id has 1 to 100 characters and no control characters."
            );
        if (picture.IsUrl)
            return;
        var length = new FileInfo(picture.Location).Length;
        if (length is 0 or > FileLimit)
            throw new UsageException($"{picture.Location}: has {length} bytes; a picture has 1 to {FileLimit}.");
    }
}
