using System.IO.Compression;
using System.Net.Http.Headers;
using System.Text;
using Pipeline.Workers.Tests.Formats;

namespace Pipeline.Publisher.Tests.Uploading;

/// <summary>Files as people and attackers send them.</summary>
internal static class UploadedFiles
{
    public static byte[] Text => "just a text named .jpg"u8.ToArray();

    public static byte[] Svg => "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"u8.ToArray();

    public static byte[] TruncatedJpeg => TinyFiles.Jpeg()[..^3];

    /// <summary>64 MB of zeros in a few kilobytes.</summary>
    public static byte[] ZipBomb()
    {
        using var file = new MemoryStream();
        using (var zip = new ZipArchive(file, ZipArchiveMode.Create, leaveOpen: true))
        using (var entry = zip.CreateEntry("picture.png", CompressionLevel.SmallestSize).Open())
        {
            var zeros = new byte[1024 * 1024];
            for (var i = 0; i < 64; i++)
                entry.Write(zeros);
        }

        return file.ToArray();
    }

    public static MultipartFormDataContent Form(params (string Name, byte[] Content)[] files)
    {
        var form = new MultipartFormDataContent();
        foreach (var (name, content) in files)
            form.AddFile(name, content);
        return form;
    }

    public static MultipartFormDataContent WithField(this MultipartFormDataContent form, string name, string value)
    {
        form.Add(new StringContent(value, Encoding.UTF8), name);
        return form;
    }

    /// <summary>The name as it is, also where a well-behaved client would not send it.</summary>
    public static MultipartFormDataContent AddFile(this MultipartFormDataContent form, string name, byte[] content)
    {
        var part = new ByteArrayContent(content);
        part.Headers.ContentDisposition = new ContentDispositionHeaderValue("form-data") { Name = "files" };
        // As browsers do: the bytes of UTF-8, where HttpClient would write Latin-1.
        var bytes = Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(name));
        part.Headers.ContentDisposition.Parameters.Add(new NameValueHeaderValue("filename", $"\"{bytes}\""));
        part.Headers.ContentType = new MediaTypeHeaderValue("image/jpeg"); // Nobody believes it.
        form.Add(part);
        return form;
    }
}
