"""`X-Twilio-Signature`: is it really Twilio?

It is the base64 of an HMAC-SHA1, keyed by the account's auth token, over the URL as Twilio requested it, byte for
byte, and every distinct pair of field and value, sorted (Twilio docs, "Webhooks security"). Twilio itself is of two
minds about a port in the URL, so both spellings count, as they do for the package's `RequestValidator`. That one parses
the URL and signs twice for every request and token; it is the oracle this one is tested against.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import Scope

from ingress.forms import Form

__all__ = ["Signature"]


class Signature:
    """Checks against the configured public URL, never against `Host`; several tokens during a rotation."""

    def __init__(self, public_base_url: str, tokens: Iterable[str]) -> None:
        self._bases = [base.encode() for base in _spellings(public_base_url)]
        self._keys = [token.encode() for token in tokens]

    def holds(self, scope: Scope, form: Form, signature: bytes) -> bool:
        """Never raises, whatever the request holds. As long for a wrong signature as for a right one."""
        query: bytes = scope["query_string"]
        path: bytes = scope["raw_path"] + (b"?" + query if query else b"")
        fields = "".join(map("".join, sorted(set(form.pairs)))).encode()
        found = False
        for base in self._bases:
            signed = base + path + fields
            for key in self._keys:
                found |= hmac.compare_digest(b64encode(hmac.digest(key, signed, "sha1")), signature)
        return found


def _spellings(url: str) -> list[str]:
    """The address without a port, and with it: as it is configured, else the scheme's own. None if it is no address."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return []
    host = parts.netloc.removesuffix(f":{port}") if port else parts.netloc
    usual = 443 if parts.scheme == "https" else 80
    return [parts._replace(netloc=host).geturl(), parts._replace(netloc=f"{host}:{port or usual}").geturl()]
