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

    [Theory]
    [InlineData("image-saved", "image.saved")]
    [InlineData("dead-letter-replayed", "dead_letter.replayed")]
    public void Types_have_the_specifications_form(string exchange, string type) =>
        WebhookEvent.TypeOf(exchange).ShouldBe(type);
}
