"""Why it ended so, in words: for the outcomes, states and reasons that the services write."""

from schemas.documents import SendDocument, TurnDocument

__all__ = ["OUTCOMES", "REASONS", "STATES", "why_send", "why_turn"]

OUTCOMES = {
    "replied": "the agent answered",
    "no_reply": "the agent chose to say nothing",
    "escalated": "the agent called a person",
    "apologised": "the agent failed in all attempts: the client got the apology",
    "asked_to_write": "nobody could hear the voice note: the client was asked to write",
    "throttled": "a loop, or over the contact's budget: no answer",
    "stored": "the bot has to be silent: taken over, or opted out",
    "discarded": "something that silences the bot came before the answer",
    "buried": "nobody could handle it: it is in dead.letters, and the client got the apology if the bot may speak",
    "opted_out": "the client does not want to be written to",
    "opted_in": "the client wants to be written to again",
    "greeted": "a call ended: the client was greeted",
    "joined": "the client had written already: the call joins, without a greeting",
    "unreachable": "WhatsApp refuses this contact until it writes: no greeting",
    "facts": "what ElevenLabs told of a call was kept",
    "taken_over": "a person took over: nothing older can be posted any more",
    "handed_back": "a person handed back, and nobody was waiting",
    "operator_said": "a person wrote",
    "closed": "the conversation was closed",
    "ignored": "nothing to do: it was not idle any more, or it is another contact's",
    "refused": "Twilio said that nothing reaches this contact until it writes",
    "erased": "erased on request: only its place in the story is kept",
}
REASONS = {
    "fenced": "a take-over, an opt-out or an erasure came before it was posted",
    "expired": "it was too late: a stale answer is not shown",
    "window_closed": "24 hours after the client's last message only a template is allowed, and there was none",
    "overtaken": "something newer may have been shown already",
    "earlier_part": "an earlier part of the same reply was not shown",
    "answer_lost": "Twilio's answer was lost twice: neither callback nor list knows of it",
}
STATES = {
    "waiting": "decided; the sender has not come to it",
    "intent": "about to be posted, or held: Twilio is away or slows us down",
    "unknown": "a POST went out and its answer was lost: callbacks and Twilio's list are asked",
    "again": "Twilio failed it; it is posted again when its time has come",
    "rejected": "Twilio refused it",
    "withheld": "it was not posted",
    "uncertain": "nobody can say whether it was shown",
}
STATUSES = {"failed": "Twilio took it and could not show it", "undelivered": "it did not reach the phone"}


def why_turn(turn: TurnDocument) -> str:
    why = OUTCOMES.get(turn.outcome, "")
    stopped = turn.context.get("discarded")
    return f"{why} ({str(stopped).replace('_', ' ')})" if stopped else why


def why_send(send: SendDocument) -> str:
    """Empty for a part that is on its way as it should be."""
    said = send.error_message or ""
    why = REASONS.get(said) or said
    if send.state == "accepted":
        about = STATUSES.get(send.status, "")
        why = why if about else ""
    else:
        about = STATES.get(send.state, "")
    code = f"Twilio error {send.error_code}" if send.error_code and (about or why) else ""
    return ": ".join(one for one in (about, "; ".join(filter(None, (why, code)))) if one)
