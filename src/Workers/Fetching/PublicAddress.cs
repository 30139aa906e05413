using System.Net;
using System.Net.Sockets;

namespace Pipeline.Workers.Fetching;

/// <summary>Tells the public internet from everything else: loopback, private, link-local and other special networks.</summary>
/// <remarks>IANA special-purpose address registries (RFC 6890 and its successors), IPv4 and IPv6.</remarks>
internal static class PublicAddress
{
    private static readonly IPNetwork[] SpecialV4 =
    [
        .. Networks(
            "0.0.0.0/8", // this network
            "10.0.0.0/8", // private
            "100.64.0.0/10", // carrier-grade NAT
            "127.0.0.0/8", // loopback
            "169.254.0.0/16", // link-local; clouds answer for credentials there
            "172.16.0.0/12", // private
            "192.0.0.0/24", // protocol assignments
            "192.0.2.0/24", // documentation
            "192.88.99.0/24", // 6to4 relays, retired
            "192.168.0.0/16", // private
            "198.18.0.0/15", // benchmarks
            "198.51.100.0/24", // documentation
            "203.0.113.0/24", // documentation
            "224.0.0.0/3" // multicast, reserved, broadcast
        ),
    ];

    // Only 2000::/3 is given out at all; these are the exceptions within it.
    private static readonly IPNetwork GlobalV6 = IPNetwork.Parse("2000::/3");
    private static readonly IPNetwork[] SpecialV6 =
    [
        .. Networks(
            "2001::/23", // protocol assignments, Teredo among them
            "2001:db8::/32", // documentation
            "2002::/16", // 6to4, which carries an IPv4 address
            "3fff::/20" // documentation
        ),
    ];

    // Carries the IPv4 address in its last four bytes; networks without IPv4 reach it so (RFC 6052).
    private static readonly IPNetwork Nat64 = IPNetwork.Parse("64:ff9b::/96");

    public static bool IsPublic(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            return IsPublic(address.MapToIPv4());
        if (address.AddressFamily == AddressFamily.InterNetwork)
            return !Array.Exists(SpecialV4, network => network.Contains(address));
        if (Nat64.Contains(address))
            return IsPublic(new IPAddress(address.GetAddressBytes()[12..]));
        return GlobalV6.Contains(address) && !Array.Exists(SpecialV6, network => network.Contains(address));
    }

    private static IEnumerable<IPNetwork> Networks(params string[] networks) => networks.Select(IPNetwork.Parse);
}
