from dataclasses import dataclass

__all__ = ["Texts"]


@dataclass(frozen=True, slots=True)
class Texts:
    hello: str
    """First line of a greeting; `{name}`."""
    hello_stranger: str
    """The same when the call knew no name."""
    summary: str
    """`{summary}`."""
    offer: str
    apology: str
    safe: str
    """When a guardrail stopped the agent: nothing of what stopped it."""
    stranger: str
    """Fills a template's name variable, which must not be empty."""
    no_summary: str
    """Fills a template's summary variable."""
    write_instead: str
    """When only a voice note came and nobody here can hear it."""
    stop: str
    """The one confirmation of an opt-out; says how to come back."""
    start: str
    """After coming back."""
    slower: str
    """Once, when the hourly budget of a contact is used up."""
