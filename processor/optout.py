"""STOP in the client's words: whole messages only, one confirmation, then silence until START. Pure.

Source: Twilio's default keywords (help article 223134027). With Advanced Opt-Out Twilio answers itself and says so in
`OptOutType`; then we say nothing. A `YES` is START only from somebody who has opted out: else it is chat.
"""

import re
from dataclasses import replace

from processor import conversation as rules
from processor.conversation import State
from processor.decisions import texts_of
from processor.drafts import Draft, Policy, Run, fenced, noticed, opened, show
from processor.language import folded
from schemas.events import AddressRefused, MessageReceived
from schemas.notices import ContactOptedOut

__all__ = ["START", "STOP", "YES", "opted", "refused", "starts", "stops"]

STOP = frozenset(
    {"stop", "stopall", "unsubscribe", "end", "quit", "revoke", "optout", "cancel"}  # Twilio's own
    | {"baja", "darme de baja", "dar de baja", "alto", "parar", "no mas mensajes", "cancelar suscripcion"}
    | {"sair", "descadastrar", "cancelar inscricao", "nao quero mais receber"}
)
START = frozenset({"start", "unstop", "alta", "darme de alta", "iniciar", "comecar", "voltar"})
YES = frozenset({"yes", "si", "sim"})
OPTED_OUT = 21610  # Twilio: the recipient has unsubscribed
BLANKS = re.compile(r"\s+")


def stops(event: MessageReceived) -> bool:
    return (event.opt_out_type or "").upper() == "STOP" or _words(event) in STOP


def starts(event: MessageReceived, *, opted_out: bool = False) -> bool:
    """`opted_out`: whether the contact is; then a plain yes counts too."""
    words = _words(event)
    return (event.opt_out_type or "").upper() == "START" or words in START or (opted_out and words in YES)


def opted(run: Run, state: State, event: MessageReceived, policy: Policy) -> Draft:
    """One message that stops or starts us, by itself."""
    draft = _stored(run, state, event)
    if stops(event):
        return _stopped(run, state, draft, event, policy)
    if not state.contact.opted_out:
        return replace(draft, outcome="stored")
    back = replace(draft, outcome="opted_in", contact=draft.contact.model_copy(update={"opted_out": False}))
    return back if event.opt_out_type else show(run, state, back, "confirmation", [texts_of(state, back, policy).start])


def refused(run: Run, state: State, event: AddressRefused) -> Draft:
    """Twilio will not reach this contact: it stopped us there (21610), or nothing arrives until it writes."""
    if event.code != OPTED_OUT:
        contact = state.contact.model_copy(update={"refused": event.code})
        return Draft("refused", contact)
    draft = Draft("opted_out", state.contact.model_copy(update={"opted_out": True}))
    if state.contact.opted_out:
        return draft
    name = state.conversation.id if state.conversation else None
    return noticed(run, draft, ContactOptedOut(contact=run.contact, at=run.now, conversation_id=name))


def _stopped(run: Run, state: State, draft: Draft, event: MessageReceived, policy: Policy) -> Draft:
    if state.contact.opted_out:
        return replace(draft, outcome="stored")
    contact = draft.contact.model_copy(update={"opted_out": True})
    name = draft.conversation and draft.conversation.id
    out = fenced(run, state, replace(draft, outcome="opted_out", contact=contact), "opt_out", by="client")
    out = noticed(run, out, ContactOptedOut(contact=run.contact, at=run.now, conversation_id=name))
    return out if event.opt_out_type else show(run, state, out, "confirmation", [texts_of(state, out, policy).stop])


def _stored(run: Run, state: State, event: MessageReceived) -> Draft:
    draft = Draft("stored", rules.seen(state.contact, event))
    draft = opened(run, state, draft, event.channel, source="inbound", phone=event.address)
    conversation, messages = rules.wrote(draft.opened, [(run.events[0].id, event)], {})
    return replace(draft, conversation=conversation, messages=messages)


def _words(event: MessageReceived) -> str:
    """Only what was typed: a picture's caption and a document's name stop nobody."""
    if event.kind not in {"text", "button", "interactive"}:
        return ""
    text = event.button.text if event.button else event.text
    return BLANKS.sub(" ", folded(text.strip(" \t\r\n.!¡")))
