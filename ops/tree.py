"""A told story as a tree for people. Texts are escaped: a client's words are no markup and move no cursor."""

from typing import Any

from rich.text import Text
from rich.tree import Tree

from ops.escaping import escaped

__all__ = ["tree"]

Json = dict[str, Any]
LONGEST = 400  # characters of one text; `--json` has all of it
GOOD = {"accepted"}


def tree(told: Json) -> Tree:
    turn = told["turn"]
    root = Tree(_line(f"{told['asked']} is {told['asked_is']}", turn["id"], told["contact"], told["conversation"]))
    for record in told["records"]:
        _record(root.add(_line(*_head(record))), record)
    _decision(root.add(_turn_line(turn)), turn)
    for send in told["sends"]:
        _send(root.add(_send_line(told, send)), send, told["fenced_by"])
    for fence in told["fences"]:
        by = f"by {fence['by']}" if fence["by"] else ""
        root.add(_line("fence", f"nothing older than turn {fence['below']} may be shown", fence["reason"], by))
    for notice in told["notices"]:
        root.add(_line("notice", notice["type"], notice["reason"]))
    if told["not_looked_at"]:
        root.add(_line("not looked at", told["not_looked_at"]))
    return root


def _head(record: Json) -> list[str | None]:
    at = _clock(record["received_at"] or record["logged_at"])
    source = f"from {record['source']}" if record["source"] else ""
    return [at, record["type"], record["event"], record["kind"], source]


def _record(node: Tree, record: Json) -> None:
    _said(node, record["text"])
    if record["transcript"]:
        _said(node, record["transcript"], "heard")
    logged = f"logged {_clock(record['logged_at'])}" if record["logged_at"] else "not in Kafka any more"
    node.add(_line(record["position"], logged, record["replayed"] and f"put back from {record['replayed']}"))


def _turn_line(turn: Json) -> Text:
    after = f"+{turn['after_s']:g} s" if turn["after_s"] is not None else ""
    by = f"by {turn['by']}" if turn["by"] else ""
    done = "" if turn["done"] else "not finished: its effects are not all stored and published"
    head = _line(_clock(turn["decided_at"]), after, f"turn {turn['seq']}", by)
    return head.append("  ").append(turn["outcome"], "bold").append(f"  {turn['cause']}  {done}".rstrip())


def _decision(node: Tree, turn: Json) -> None:
    for draft in turn["superseded"]:
        node.add(_line(_clock(draft["at"]), f"draft thrown away: bubble {draft['bubbles']} came"))
    agent, context = turn["agent"], turn["context"]
    if agent:
        asked = f"{agent.get('seconds', 0):.2f} s, {agent.get('attempts', 1)} attempts"
        node.add(_line("agent", context.get("agent_id"), asked, agent.get("conversation_id")))
    for tool in agent.get("tools") or ():
        node.add(_line("tool", str(tool.get("name"))))
    given = node.add(_line("told to the agent")) if context else node
    for name, text in context.items():
        if text and name != "agent_id":
            _said(given, str(text), name)
    for text in turn["said"]:
        _said(node, text, "it said")


def _send_line(told: Json, send: Json) -> Text:
    after = f"+{send['after_s']:g} s" if send["after_s"] is not None else ""
    asked = "◀ asked" if told["asked"] in {send["id"], send["sid"]} else ""
    fields = [_clock(send["begun_at"]), after, send["purpose"], send["id"], send["to"] and f"to {send['to']}"]
    head = _line(*fields)
    state = " ".join(dict.fromkeys(filter(None, [send["state"], send["status"]])))
    head.append("  ").append(state, "green" if send["state"] in GOOD and not send["cause"] else "yellow")
    return head.append(f"  {send['cause']}  {asked}".rstrip())


def _send(node: Tree, send: Json, fenced_by: Json | None) -> None:
    _said(node, send["text"])
    if fenced_by and send["cause"] and send["state"] == "withheld":
        who = f"by {fenced_by['by']}" if fenced_by["by"] else ""
        fields = [_clock(fenced_by["decided_at"]), "the fence stands at", fenced_by["turn"], fenced_by["outcome"], who]
        node.add(_line(*fields))
    for one in send["attempts"]:
        code = f"code {one['code']}" if one["code"] else ""
        fields = [_clock(one["at"]), f"+{one['after_s']:g} s", f"POST {one['number']}", one["outcome"], one["sid"]]
        node.add(_line(*fields, code, one["detail"]))
    for one in send["statuses"]:
        code = f"code {one['error_code']}" if one["error_code"] else ""
        node.add(_line(_clock(one["at"]), f"+{one['after_s']:g} s", one["status"], code))
    if send["again_at"]:
        node.add(_line("posted again not before", _clock(send["again_at"])))
    elif send["not_after"] and send["state"] not in GOOD:
        node.add(_line("not to be shown after", _clock(send["not_after"])))


def _said(node: Tree, text: str | None, name: str = "") -> None:
    if text:
        short = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
        label = Text(f"{name}: " if name else "", "dim")
        node.add(label.append(escaped(short), "italic"))


def _line(*fields: str | None) -> Text:
    return Text("  ".join(escaped(one) for one in fields if one))


def _clock(text: str | None) -> str:
    """`2026-11-26 10:09:01.123`, UTC as everything here."""
    return text[:23].replace("T", " ").rstrip("Z") if text else ""
