"""The form of a status callback: the exact fields of each status."""

from sandbox.twilio.account import Account
from sandbox.twilio.ledger import Message

_EVENTS = {"delivered": "DELIVERED", "read": "READ", "undelivered": "UNDELIVERED"}


def status_form(account: Account, message: Message, status: str, bsuid: str) -> dict[str, str]:
    form = {
        "ChannelPrefix": "whatsapp",
        "ApiVersion": "2010-04-01",
        "MessageStatus": status,
        "SmsSid": message.sid,
        "SmsStatus": status,
        "ChannelInstallSid": "XE" + account.profile.account_sid[2:],
        "To": message.contact,
        "From": message.sender,
        "MessageSid": message.sid,
        "AccountSid": account.profile.account_sid,
        "ChannelToAddress": _masked(message.contact),
    }
    if status == "sent":
        form["StructuredMessage"] = "true" if message.content_sid else "false"
    if status in _EVENTS:
        form["EventType"] = _EVENTS[status]
    if status in {"delivered", "read"}:
        form["ExternalUserId"] = f"whatsapp:{bsuid}"
    if status in {"failed", "undelivered"} and message.error:
        form["ErrorCode"] = str(message.error)
        form["ChannelStatusMessage"] = message.error_text or ""
    if message.service:
        form["MessagingServiceSid"] = message.service
    return form


def _masked(address: str) -> str:
    bare = address.removeprefix("whatsapp:")
    return f"{bare[:-4]}XXXX" if bare.startswith("+") else bare
