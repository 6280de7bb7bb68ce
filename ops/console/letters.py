"""Dead letters: grouped by reason, one as a whole, put back or dropped after a question that says how many."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from kit.kafka.reading import reader
from kit.kafka.refusal import UNREACHED
from ops.console.desk import Desk, session_of
from ops.letters import Case, UnknownLetter, Wanted, cases, one_case
from ops.masking import Masking
from ops.post import grouped, listed, names, whole

__all__ = ["Letters"]

NEWEST = 50
LONGEST_REASON = 500
What = Literal["redrive", "drop"]
TEXT = Annotated[str, Form()]


class Letters:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/letters")
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("/one/{letter}", self.one, methods=["GET"])
        router.add_api_route("/ask", self.ask, methods=["GET"])
        router.add_api_route("/do", self.do, methods=["POST"])
        router.add_api_route("/work", self.work, methods=["GET"])
        return router

    async def page(self, request: Request) -> Response:
        try:
            async with reader(self._desk.settings) as kafka:
                found = await cases(kafka, Wanted())
        except UNREACHED:
            return self._html(request, "letters.html", away=True, groups=[], letters=[], count=0)
        masked = Masking(reveal=False)
        groups, newest = masked(grouped(found)), masked([listed(one) for one in found[-NEWEST:]])[::-1]
        return self._html(request, "letters.html", away=False, groups=groups, letters=newest, count=len(found))

    async def one(self, request: Request, letter: str) -> Response:
        try:
            async with reader(self._desk.settings) as kafka:
                case = await one_case(kafka, letter)
        except UnknownLetter:
            return self._html(request, "letter.html", status=404, away=False, letter=None)
        except UNREACHED:
            return self._html(request, "letter.html", away=True, letter=None)
        shown = Masking(*names(case), reveal=False)(whole(case, reveal=False))
        return self._html(request, "letter.html", away=False, letter=shown)

    async def ask(self, request: Request, what: What, reason: str = "", topic: str = "", letter: str = "") -> Response:
        chosen = await self._chosen(reason, topic, letter)
        return self._asking(request, what, chosen, {"reason": reason, "topic": topic, "letter": letter})

    async def do(
        self,
        request: Request,
        what: Annotated[What, Form()],
        count: Annotated[int, Form()],
        reason: TEXT = "",
        topic: TEXT = "",
        letter: TEXT = "",
        because: TEXT = "",
    ) -> Response:
        """Only what was asked about: another number than `count`, and it asks again."""
        which = {"reason": reason, "topic": topic, "letter": letter}
        chosen = await self._chosen(reason, topic, letter)
        if chosen is None or len(chosen) != count:
            return self._asking(request, what, chosen, which, "letters.changed" if chosen is not None else "")
        if what == "drop" and not because.strip():
            return self._asking(request, what, chosen, which, "letters.because.missing")
        if self._desk.undertaking.busy:
            return self._asking(request, what, chosen, which, "letters.busy")
        self._desk.undertaking.begin(what, chosen, session_of(request).by, because.strip()[:LONGEST_REASON])
        return self._work(request)

    async def work(self, request: Request) -> Response:
        return self._work(request)

    async def _chosen(self, reason: str, topic: str, letter: str) -> list[Case] | None:
        """None while Kafka is away."""
        try:
            async with reader(self._desk.settings) as kafka:
                if letter:
                    return [one for one in [await one_case(kafka, letter)] if one.fate == "open"]
                return await cases(kafka, Wanted(topic or None, reason or None)) if reason else []
        except UnknownLetter:
            return []
        except UNREACHED:
            return None

    def _asking(
        self, request: Request, what: What, chosen: Sequence[Case] | None, which: dict[str, str], fault: str = ""
    ) -> Response:
        topics = ", ".join(sorted({one.letter.origin.topic or "?" for one in chosen or ()}))
        values: dict[str, Any] = {"what": what, "which": which, "fault": fault, "topics": topics}
        count = None if chosen is None else len(chosen)
        return self._desk.html(request, "letters_ask.html", count=count, **values)

    def _work(self, request: Request) -> Response:
        work = self._desk.undertaking.last
        masked = Masking(reveal=False)
        skipped = masked(dict(work.done.skipped)) if work else {}
        return self._desk.html(request, "letters_work.html", work=work, skipped=skipped)

    def _html(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        work = self._desk.undertaking.last if self._desk.undertaking.busy else None
        return self._desk.html(request, template, status=status, page="letters", work=work, skipped={}, **values)
