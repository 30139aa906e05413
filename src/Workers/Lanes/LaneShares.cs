namespace Pipeline.Workers.Lanes;

/// <summary>How many lanes each worker should hold. Pure, so that every worker comes to the same answer.</summary>
internal static class LaneShares
{
    /// <summary>What one worker should change now.</summary>
    /// <param name="me">The worker that asks; one of the keys of <paramref name="held"/>.</param>
    /// <param name="held">Living workers, with the number of lanes that each one holds.</param>
    /// <param name="lanes">How many lanes there are, held or free.</param>
    /// <returns>
    /// Lanes to take, if free ones are found, or to hand over; never both. A worker takes beyond its even share only
    /// when nobody is below it, and hands over only as many as others lack, so that lanes do not wander without need.
    /// </returns>
    public static (int Take, int HandOver) Plan(Guid me, IReadOnlyDictionary<Guid, int> held, int lanes)
    {
        var share = lanes / held.Count;
        var limit = share + (lanes % held.Count == 0 ? 0 : 1);
        var free = lanes - held.Values.Sum();
        var lacking = held.Where(x => x.Key != me).Sum(x => Math.Max(0, share - x.Value));
        var mine = held[me];

        if (mine < share)
            return (share - mine, 0);
        if (mine < limit && free > lacking)
            return (1, 0);

        var tooMany = Math.Max(0, mine - limit);
        // Those above the even share give one each to those below it, the fullest first.
        var givers = held.Where(x => x.Value > share)
            .OrderByDescending(x => x.Value)
            .ThenBy(x => x.Key)
            .Select(x => x.Key)
            .ToList();
        var rank = givers.IndexOf(me);
        var wanted = Math.Max(0, lacking - free);
        return (0, Math.Max(tooMany, rank >= 0 && rank < wanted ? 1 : 0));
    }
}
