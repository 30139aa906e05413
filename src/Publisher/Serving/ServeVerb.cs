using System.CommandLine;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Serving;

/// <summary>Runs the HTTP API and the dashboard.</summary>
internal static class ServeVerb
{
    private const string Help = """
        Serve the HTTP API and the dashboard at Publisher__Url, until Ctrl-C or SIGTERM.

          GET  /                               dashboard;  /projects/ID/view  a project's pictures
          GET  /projects  /projects/ID         list; the document that front ends poll, with an ETag
          GET  /projects/ID/images  /projects/ID/receipts[/COMMAND]  /receipts[/COMMAND]  /lanes
          GET  /images/ID/VERSION[/VARIANT]    redirects to the picture's cached URL
          GET  /images/ID/urls  /projects/ID/urls  every variant's URL with its end;  /urls/health
          POST /images/ID/urls/refresh  /projects/ID/urls/refresh  /urls/refresh  {} or {"force":true}; 202 likewise
          POST /projects/ID/scenes             {"scenes":[{"id","index","prompt"}]}; 202 after the broker's confirm
          POST /projects/ID/images/import      {"sourceUrl","sceneId","slot"}; likewise
          POST /projects/ID/images             multipart/form-data with files; fields sceneId, slot, ... before them
          POST /projects/ID/uploads            {"byteLength"}: a presigned URL to PUT one file to, then
               /projects/ID/uploads/ID/confirm {"sceneId","slot"}, optionally "sha256"
          POST /projects/ID/generations        {"sceneId","slot","prompt"}, optionally "model","width","height","seed","options",
                                               "deadline","force"; likewise
          POST /projects/ID/storyboard-generations  {"imagesPerScene"}, optionally "sceneIds" and as above; or
                                               {"missing":true}: asks again for exactly what the last one lacks
          GET  /projects/ID/generations        requests (?open=true), their counts, the latest storyboards
          GET  /generations/ID                 by its id or a request's; POST .../retry  .../cancel  {} with a request's
                                               id, {"projectId"}, optionally "imageId", with the generation's
          GET  /asyncapi  /asyncapi.json       the messages, for people and for tools;  /schemas/MESSAGE.json
          GET  /catalog  /catalog/statistics   what the store is known to hold (?prefix=&after=), and counts
          GET  /catalog/rebuilds  /catalog/rebuilds/ID   by its id or a request's; POST /catalog/rebuilds  .../ID/cancel
          POST /catalog/record  /catalog/forget  {"objectKey"}: somebody else has put or deleted an object
          GET  /dead-letters  /dead-letters/actions  how many there are; who did what about them (?message=ID)
          POST /reconciliations                {}, optionally "grace","readBytes","repairOf";  GET  /reconciliations[/ID]
          GET  /health/live  /health/ready     503 names the check that fails

        Example:
          Publisher__Url=http://localhost:8080 dotnet Pipeline.Publisher.dll serve
        """;

    public static Command Build(VerbRunner verbs) =>
        verbs.Command(
            "serve",
            Help,
            [],
            async (_, context, cancellation) =>
            {
                await using var app = PublisherApp.Build(context.Settings, context.Clock);
                await app.StartAsync(cancellation);
                await context.Screen.NoteAsync($"serving at {string.Join(", ", app.Urls)}");
                await app.WaitForShutdownAsync(cancellation);
                return Exit.Done;
            }
        );
}
