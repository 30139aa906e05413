namespace Pipeline.Formats;

/// <summary>The CRC that PNG uses (W3C PNG specification, annex D): reflected, polynomial 0x04C11DB7.</summary>
internal static class Crc32
{
    private const uint Polynomial = 0xEDB88320; // 0x04C11DB7 with its bits reversed

    // Slicing by four: Table[k] is Table[0] advanced by k zero bytes.
    private static readonly uint[][] Table = CreateTable();

    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        while (bytes.Length >= 4)
        {
            crc ^= (uint)(bytes[0] | bytes[1] << 8 | bytes[2] << 16 | bytes[3] << 24);
            crc =
                Table[3][crc & 0xFF] ^ Table[2][(crc >> 8) & 0xFF] ^ Table[1][(crc >> 16) & 0xFF] ^ Table[0][crc >> 24];
            bytes = bytes[4..];
        }

        foreach (var each in bytes)
            crc = Table[0][(crc ^ each) & 0xFF] ^ (crc >> 8);
        return ~crc;
    }

    private static uint[][] CreateTable()
    {
        var table = new uint[4][];
        for (var slice = 0; slice < table.Length; slice++)
        {
            table[slice] = new uint[256];
            for (uint index = 0; index < 256; index++)
            {
                var crc = slice == 0 ? index : table[slice - 1][index];
                for (var bit = 0; bit < 8; bit++)
                    crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ Polynomial;
                table[slice][index] = crc;
            }
        }

        return table;
    }
}
