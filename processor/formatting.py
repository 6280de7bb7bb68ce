"""An agent's Markdown as WhatsApp's formatting: `*bold*`, `_italic_`, `~struck~`, code; links with their address. Pure.

Parsed, not replaced: `2*3*4`, `snake_case` and what stands in code are no formatting. Source of what WhatsApp knows:
its help page "How to format your messages".
"""

import re
from collections.abc import Callable, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["formatted"]

PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
INDENTED = re.compile(r"^ {4,}(?![-*+ ]|\d+[.)])", re.MULTILINE)
MANY_BREAKS = re.compile(r"\n{3,}")
MARKS = {"strong": "*", "em": "_", "s": "~"}


def formatted(markdown: str) -> str:
    """Without any Markdown in it the text comes back as it was, blanks at its ends aside."""
    return _Writer().write(PARSER.parse(_unindented(markdown))).strip()


def _unindented(text: str) -> str:
    """Four blanks in front make code in Markdown; an agent that indents a line means no code."""
    return INDENTED.sub("", text.replace("\t", "    "))


class _Writer:
    """Walks the blocks and keeps where in a list, a table or a quotation it is."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._lists: list[int | None] = []
        self._row: list[str] | None = None
        self._quoted = 0
        self._heading = False

    def write(self, tokens: Sequence[Token]) -> str:
        for token in tokens:
            handler = BLOCKS.get(token.type)
            if handler:
                handler(self, token)
        return MANY_BREAKS.sub("\n\n", "".join(self._out))

    def inline(self, token: Token) -> None:
        text = _Span(heading=self._heading).write(token.children or [])
        if self._row is not None:
            self._row.append(text)
        elif self._heading:
            self._out.append(f"*{text}*\n\n" if text.strip() else "")
        else:
            prefix = "> " if self._quoted else ""
            self._out.append(prefix + text.replace("\n", f"\n{prefix}"))

    def heading(self, token: Token) -> None:
        self._heading = token.nesting == 1

    def paragraph(self, token: Token) -> None:
        self._out.append("\n" if token.hidden or self._lists else "\n\n")

    def row(self, token: Token) -> None:
        if token.nesting == 1:
            self._row = []
            return
        self._out.append(" | ".join(self._row or ()) + "\n")
        self._row = None

    def enter_list(self, token: Token) -> None:
        self._lists.append(int(token.attrGet("start") or 1) if token.type == "ordered_list_open" else None)

    def leave_list(self, _token: Token) -> None:
        self._lists.pop()
        self._out.append("" if self._lists else "\n")

    def item(self, token: Token) -> None:
        number, indent = self._lists[-1], "  " * (len(self._lists) - 1)
        self._out.append(f"{indent}- " if number is None else f"{indent}{number}{token.markup} ")
        if number is not None:
            self._lists[-1] = number + 1

    def quotation(self, token: Token) -> None:
        self._quoted += token.nesting

    def code(self, token: Token) -> None:
        self._out.append(f"```{token.content.rstrip()}```\n\n")

    def gap(self, _token: Token) -> None:
        self._out.append("\n")


BLOCKS: dict[str, Callable[[_Writer, Token], None]] = {
    "inline": _Writer.inline,
    "heading_open": _Writer.heading,
    "heading_close": _Writer.heading,
    "paragraph_close": _Writer.paragraph,
    "tr_open": _Writer.row,
    "tr_close": _Writer.row,
    "bullet_list_open": _Writer.enter_list,
    "ordered_list_open": _Writer.enter_list,
    "bullet_list_close": _Writer.leave_list,
    "ordered_list_close": _Writer.leave_list,
    "list_item_open": _Writer.item,
    "blockquote_open": _Writer.quotation,
    "blockquote_close": _Writer.quotation,
    "fence": _Writer.code,
    "code_block": _Writer.code,
    "table_close": _Writer.gap,
    "hr": _Writer.gap,
}


class _Span:
    """The text between two blocks, with the marks that are open in it."""

    def __init__(self, *, heading: bool) -> None:
        self._out: list[str] = []
        self._heading = heading
        self._open: list[str] = []
        self._links: list[tuple[str, int]] = []

    def write(self, tokens: Sequence[Token]) -> str:
        for token in tokens:
            name, _, side = token.type.rpartition("_")
            if name in MARKS:
                self._mark(name, token.markup, opens=side == "open")
            elif token.type == "link_open":
                self._links.append((str(token.attrGet("href") or ""), len(self._out)))
            elif token.type == "link_close":
                self._link()
            else:
                self._out.append(_leaf(token))
        return "".join(self._out)

    def _mark(self, name: str, written: str, *, opens: bool) -> None:
        """Inside a word or an address it is no mark: `2*3*4`."""
        if not opens:
            self._out.append(self._open.pop())
            return
        before = "".join(self._out[-3:]).rpartition(" ")[2]
        literal = before[-1:].isalnum() or "://" in before
        in_heading = self._heading and name == "strong"
        self._open.append(written if literal else "" if in_heading else MARKS[name])
        self._out.append(self._open[-1])

    def _link(self) -> None:
        href, start = self._links.pop()
        label = "".join(self._out[start:])
        self._out[start:] = [href if label in {"", href} else f"{label}: {href}"]


def _leaf(token: Token) -> str:
    match token.type:
        case "softbreak" | "hardbreak":
            return "\n"
        case "code_inline":
            return f"`{token.content}`"
        case "image":
            address = str(token.attrGet("src"))
            return f"{token.content}: {address}" if token.content else address
        case _:
            return token.content
