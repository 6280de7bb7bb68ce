"""Structured logs: one JSON line per outcome, contacts masked, nothing a client wrote.

Every line passes `_mask`, those of libraries too: a phone number in a URL of some client library is masked as well.
"""

import asyncio
import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import nullcontext
from typing import Any, TextIO

import structlog

from schemas.contact import redact

__all__ = ["Finished", "Log", "configure", "get_log", "hush", "structure"]

Log = structlog.stdlib.BoundLogger
PHONE = re.compile(r"(?:\+|%2B)\d{7,15}", re.IGNORECASE)
QUIET = ("aiohttp", "aiokafka", "httpx", "httpcore", "twilio", "websockets", "uvicorn", "faststream", "pymongo")


def configure(service: str, level: str = "INFO", style: str = "json") -> None:
    """Route everything, the standard library's logging included, to standard output."""
    handler = Lines(sys.stdout)
    handler.setFormatter(structure(service, style))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    _forget_what_no_line_shows()
    hush()


def structure(service: str, style: str = "json") -> logging.Formatter:
    """Make our lines what they are, and give what makes a line of any record, a library's too."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        lambda _logger, _method, event: {"service": service, **event},
        _mask,
    ]
    last: structlog.typing.Processor = _json if style == "json" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*shared, lambda logger, method, event: Finished(last(logger, method, event))],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return _Formatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last]
    )


def hush() -> None:
    """Libraries that tell every request they make are heard from WARNING on."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _forget_what_no_line_shows() -> None:
    """Thread, process and the caller's frame: a third of a line's cost (Python's logging howto, "Optimization")."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001  # the howto's own way


class Lines(logging.StreamHandler[TextIO]):
    """The lines of one turn of the event loop go out in one write; a WARNING takes them along at once.

    Sixty webhooks that one acknowledgement of Kafka ends are sixty lines, and a system call each would be a twentieth
    of their cost. A killed process loses the INFO lines of its last turn, an instant's.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._due = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record) + self.terminator)
            loop = _running_loop()
            if loop is None or record.levelno >= logging.WARNING:
                self.flush()
            elif not self._due:
                self._due = True
                loop.call_soon(self.flush)
        except Exception:  # noqa: BLE001  # as every handler of the standard library
            self.handleError(record)

    def flush(self) -> None:
        with self.lock or nullcontext():
            self._due = False
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("".join(lines))
            super().flush()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Finished(str):
    """A line of ours: rendered where it is logged, so that the handler need not take it apart and render it again."""

    __slots__ = ()


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return record.msg if isinstance(record.msg, Finished) else super().format(record)


ENCODER = json.JSONEncoder(ensure_ascii=False, default=repr)  # json.dumps would make a new one for every line


def _json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return ENCODER.encode(event)


def get_log(name: str) -> Log:
    log: Log = structlog.stdlib.get_logger(name)
    return log


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        event[name] = redact(value) if name == "contact" and isinstance(value, str) else _clean(value)
    return event


def _clean(value: Any) -> Any:
    """The same with every phone number masked, however deep it stands."""
    if isinstance(value, str):
        return PHONE.sub(_masked, value)
    if isinstance(value, Mapping):
        return {_clean(name): _clean(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(one) for one in value]
    return value


def _masked(found: re.Match[str]) -> str:
    return redact(found[0].replace("%2B", "+").replace("%2b", "+"))
