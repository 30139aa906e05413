namespace Pipeline.Contracts;

/// <summary>
/// Every limit that a command's fields have, each once: the contracts' attributes, the rules of the workers and the
/// forms of the publisher all name these.
/// </summary>
/// <remarks>
/// How attributes are read: <c>Range</c> bounds a number, <c>StringLength</c> a text, <c>RegularExpression</c> and
/// <c>AllowedValues</c> say what a text looks like, <c>Length</c> bounds a list or a map, <c>DefaultValue</c> makes a
/// property one that may be left out, <c>DataType.Password</c> one that is shown to nobody. On a list or a map, what
/// bounds a text bounds each text in it. Ids of commands are never all zeros, and what is not nullable is required;
/// neither needs an attribute. Lengths are counted in Unicode code points, as JSON Schema counts them.
/// </remarks>
public static class Limits
{
    /// <summary>Code points of a scene's id.</summary>
    public const int SceneIdLength = 100;

    /// <summary>Scenes of a storyboard.</summary>
    public const int Scenes = 1_000;

    /// <summary>The last place of a scene.</summary>
    public const int SceneIndexLast = 1_000_000;

    /// <summary>The last slot of a scene.</summary>
    public const int SlotLast = 9_999;

    /// <summary>Code points of a prompt: the longest that GPT image models take (OpenAI API reference, images).</summary>
    public const int PromptLength = 32_000;

    /// <summary>Bytes of a picture, 25 MiB: what the image services that this feeds take (Supabase, 25 MB).</summary>
    public const int PictureBytes = 25 * 1024 * 1024;

    /// <summary>Pixels of a picture over all frames, as imgproxy has it.</summary>
    public const int PicturePixels = 50_000_000;

    /// <summary>Pixels of the shortest edge that is generated.</summary>
    public const int EdgeFirst = 64;

    /// <summary>Pixels of the longest edge that is generated.</summary>
    public const int EdgeLast = 4_096;

    /// <summary>Code points of a model's name.</summary>
    public const int ModelLength = 100;

    /// <summary>Settings of a model's own in one request.</summary>
    public const int Options = 20;

    /// <summary>Code points of such a setting's name, and of its value.</summary>
    public const int OptionLength = 200;

    /// <summary>Pictures of a scene in one storyboard's generation.</summary>
    public const int ImagesPerScene = 10;

    /// <summary>Bytes of an object's key in UTF-8, and so its code points at most (S3 user guide, "Naming objects").</summary>
    public const int KeyLength = 1_024;

    /// <summary>Characters of a URL; longer ones do not pass through common proxies.</summary>
    public const int UrlLength = 2_048;
}

/// <summary>What texts look like: patterns that read the same in .NET and in ECMA 262, with the rule in words.</summary>
public static class Patterns
{
    /// <summary>No character of Unicode's category Cc.</summary>
    public const string NoControls = @"^[^\u0000-\u001F\u007F-\u009F]*$";

    /// <summary>In words.</summary>
    public const string NoControlsRule = "must not contain control characters.";

    /// <summary>No U+0000, which PostgreSQL keeps in no text.</summary>
    public const string NoNul = @"^[^\u0000]*$";

    /// <summary>In words.</summary>
    public const string NoNulRule = "must not contain the character U+0000.";

    /// <summary>A SHA-256 as the pipeline writes it.</summary>
    public const string Sha256 = "^[0-9a-f]{64}$";

    /// <summary>In words.</summary>
    public const string Sha256Rule = "must be 64 lower-case hexadecimal digits.";

    /// <summary>The key of a picture's bytes.</summary>
    public const string ImageKey = $"^projects/{Id}/{Id}/[0-9a-f]{{64}}(-([2-9]|[1-9][0-9]{{1,2}}))?{Extension}$";

    /// <summary>In words.</summary>
    public const string ImageKeyRule = "must be 'projects/{projectId}/{imageId}/{sha256}.{png|jpg|gif|webp|avif}'.";

    /// <summary>Any key that an HTTP client can ask a store for: no control characters, no segment "." or "..".</summary>
    public const string StoreKey = @"^(?!(.*/)?\.{1,2}(/|$))[^\u0000-\u001F\u007F-\u009F]*$";

    /// <summary>In words.</summary>
    public const string StoreKeyRule = "must not contain control characters, nor a segment '.' or '..'.";

    /// <summary>The key of an upload, or of a picture that the pipeline has rendered.</summary>
    public const string IntakeKey = $"^(uploads/{Id}|generated/{Id}/[0-9a-f]{{64}}(-[1-9][0-9]*)?{Extension})$";

    /// <summary>In words.</summary>
    public const string IntakeKeyRule = "must be 'uploads/' and an id.";

    /// <summary>A webhook's secret: Base64 of 24 to 64 bytes (Standard Webhooks 1.0.0, "Signature scheme").</summary>
    public const string WebhookSecret = "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$";

    /// <summary>In words.</summary>
    public const string WebhookSecretRule = "must be whsec_ and Base64 of 24 to 64 bytes.";

    private const string Id = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";

    private const string Extension = @"\.(png|jpg|gif|webp|avif)";
}
