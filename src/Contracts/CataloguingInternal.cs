namespace Pipeline.Contracts.Cataloguing;

/// <summary>Message, internal: a bucket has a new rebuild.</summary>
/// <param name="RebuildId">The rebuild.</param>
/// <param name="Bucket">The bucket, whose slot it holds.</param>
public sealed record BeginRebuild(Guid RebuildId, string Bucket);

/// <summary>Message, internal: list one page of one part of the key space.</summary>
/// <param name="RebuildId">The rebuild.</param>
/// <param name="Part">From 0.</param>
/// <param name="Page">From 1; a page that is done is not listed again.</param>
public sealed record ListPage(Guid RebuildId, int Part, int Page);

/// <summary>Message, internal: a part is listed to its end.</summary>
/// <param name="RebuildId">The rebuild.</param>
/// <param name="Part">The part.</param>
public sealed record PartListed(Guid RebuildId, int Part);

/// <summary>Message, internal: the store refuses to be listed, or has not answered for too long.</summary>
/// <param name="RebuildId">The rebuild.</param>
/// <param name="Reason">For people; names the store's error.</param>
public sealed record ListingFailed(Guid RebuildId, string Reason);

/// <summary>Message, internal: remove what no listing had, from one stretch of the catalogue.</summary>
/// <param name="RebuildId">The rebuild.</param>
/// <param name="Batch">From 1; a batch that is done is not swept again.</param>
public sealed record SweepCatalog(Guid RebuildId, int Batch);

/// <summary>Message, internal: the whole catalogue is swept.</summary>
/// <param name="RebuildId">The rebuild.</param>
public sealed record CatalogSwept(Guid RebuildId);
