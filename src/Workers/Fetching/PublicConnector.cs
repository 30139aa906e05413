using System.Net;
using System.Net.Sockets;

namespace Pipeline.Workers.Fetching;

/// <summary>
/// Resolves a name itself and connects to the very address that it has checked, so that a name which answers
/// differently a moment later gains nothing.
/// </summary>
internal sealed class PublicConnector(bool allowPrivateNetworks)
{
    /// <exception cref="PrivateAddressException">The name has no address on the public internet.</exception>
    public async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        // The resolver refuses some literal addresses with an exception of its own.
        var host = context.DnsEndPoint.Host;
        IPAddress[] addresses = IPAddress.TryParse(host, out var literal)
            ? [literal]
            : await Dns.GetHostAddressesAsync(host, cancellation);
        if (!allowPrivateNetworks)
            addresses = Array.FindAll(addresses, PublicAddress.IsPublic);
        if (addresses.Length == 0)
            throw new PrivateAddressException();

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

/// <summary>A stranger's URL leads into this network. Never tried again.</summary>
internal sealed class PrivateAddressException() : Exception("The name has no address on the public internet.");
