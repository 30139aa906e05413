using System.Globalization;
using Pipeline.Workers.Webhooks;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Webhooks;

public sealed class WebhookSignatureTests
{
    // From the specification's own libraries: python/tests/test_webhooks.py and rust/src/lib.rs of
    // github.com/standard-webhooks/standard-webhooks.
    [Theory]
    [InlineData(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        """{"test": 2432232314}""",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )]
    [InlineData(
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1649367553,
        """{"email":"test@example.com","username":"test_user"}""",
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
    )]
    public void Signature_is_that_of_the_specifications_libraries(
        string secret,
        string id,
        long timestamp,
        string body,
        string expected
    ) => WebhookSignature.Sign(secret, id, timestamp, System.Text.Encoding.UTF8.GetBytes(body)).ShouldBe(expected);

    [Theory]
    [InlineData(23, false)]
    [InlineData(24, true)]
    [InlineData(64, true)]
    [InlineData(65, false)]
    public void Secret_has_24_to_64_bytes(int bytes, bool isOne) =>
        (WebhookSignature.KeyOf($"whsec_{Convert.ToBase64String(new byte[bytes])}") is not null).ShouldBe(isOne);

    [Theory]
    [InlineData("")]
    [InlineData("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    [InlineData("whsec_not base64, and long enough for all that")]
    public void Anything_else_is_no_secret(string text) => WebhookSignature.KeyOf(text).ShouldBeNull();

    // Standard Webhooks 1.0.0, "Deliverability and reliability": the table of its example.
    [Theory]
    [InlineData(1, "00:00:05")]
    [InlineData(2, "00:05:00")]
    [InlineData(3, "00:30:00")]
    [InlineData(4, "02:00:00")]
    [InlineData(5, "05:00:00")]
    [InlineData(6, "10:00:00")]
    [InlineData(7, "14:00:00")]
    [InlineData(8, "20:00:00")]
    [InlineData(9, "1.00:00:00")]
    [InlineData(10, null)]
    public void Attempts_are_spread_over_days_as_the_specification_has_it(int attempt, string? pause)
    {
        var options = new WebhookOptions();
        var earliest = pause is null ? (TimeSpan?)null : TimeSpan.Parse(pause, CultureInfo.InvariantCulture);

        options.PauseAfter(attempt, chance: 0).ShouldBe(earliest);
        options.PauseAfter(attempt, chance: 1).ShouldBe(earliest * 1.2);
        options.Validate(name: null, options).Succeeded.ShouldBeTrue();
    }

    [Theory]
    [InlineData("image-saved", "image.saved")]
    [InlineData("dead-letter-replayed", "dead_letter.replayed")]
    public void Types_have_the_specifications_form(string exchange, string type) =>
        WebhookEvent.TypeOf(exchange).ShouldBe(type);
}
