"""Our side of the webhooks, reduced to a recorder that checks signatures the way the SDK does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator

from sandbox.twilio.listener import Listener

XML = (200, "text/xml", b"<Response/>")
Answer = tuple[int, str | None, bytes]


@dataclass(frozen=True)
class Hook:
    path: str
    url: str
    headers: dict[str, str]
    form: dict[str, str]
    raw: bytes

    @property
    def signature(self) -> str:
        return self.headers["x-twilio-signature"]

    def authentic(self, token: str, url: str | None = None) -> bool:
        return bool(RequestValidator(token).validate(url or self.url, self.form, self.signature))


class Hooks:
    def __init__(self) -> None:
        self.requests: list[Hook] = []
        self.answer: Callable[[Hook], Answer] = lambda _: XML
        self.listener = Listener(self._app)

    @property
    def url(self) -> str:
        return self.listener.url

    def forget(self) -> None:
        self.requests.clear()
        self.answer = lambda _: XML

    def at(self, path: str) -> list[Hook]:
        return [hook for hook in self.requests if hook.path == path]

    def statuses(self, sid: str | None = None) -> list[str]:
        hooks = (h for h in self.requests if "MessageStatus" in h.form)
        return [h.form["MessageStatus"] for h in hooks if sid in {None, h.form["MessageSid"]}]

    async def _app(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        url = f"http://{headers['host']}{scope['raw_path'].decode()}" + (f"?{query}" if query else "")
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        hook = Hook(scope["path"], url, headers, form, body)
        self.requests.append(hook)
        status, kind, content = self.answer(hook)
        given = [(b"content-type", kind.encode())] if kind else []
        given.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": given})
        await send({"type": "http.response.body", "body": content})
