namespace Pipeline.SystemTests.Harness;

/// <summary>Reasons for which the database refuses what the lanes write, and how they are mended.</summary>
internal static class Causes
{
    // Two causes for pictures, one for storyboards; each stands until it is mended.
    public const string BreakSql = """
        create function public.refuse_picture() returns trigger language plpgsql as $$
        begin
            if new.slot = 1 then raise exception 'the quota of tenant % is used up', new.project_id; end if;
            if new.slot = 2 then raise exception 'the index of % is corrupt', new.object_key; end if;
            return new;
        end $$;
        create trigger refuse_picture before insert on pipeline.images
            for each row execute function public.refuse_picture();
        create function public.refuse_scene() returns trigger language plpgsql as $$
        begin
            if new.prompt like '%forbidden%' then raise exception 'scenes are locked by job %', new.index; end if;
            return new;
        end $$;
        create trigger refuse_scene before insert on pipeline.scenes
            for each row execute function public.refuse_scene();
        """;

    public const string MendQuotaSql = """
        create or replace function public.refuse_picture() returns trigger language plpgsql as $$
        begin
            if new.slot = 2 then raise exception 'the index of % is corrupt', new.object_key; end if;
            return new;
        end $$;
        """;
}
