"""A corpus of thoughts as people type them on a phone, made from a seed: words, cuts, gaps. Nothing in it is anybody's.

What counts as one burst: bubbles of one contact that carry one thought, each sent at most `BURST_GAP_S` after the one
before. What comes later is a new thought, and an answer in between is right.

The distributions, fixed. People differ: 55 % of the contacts write a thought in one bubble 9 times in 10, the others
once in five; a contact has twelve thoughts here, minutes apart. A burst goes on after each bubble with 3 in 8, to five
at most: 2 (62 %), 3 (23 %), 4 (9 %) or 5 (5 %) bubbles. Gaps between bubbles are log-normal, the typing of the next one
included: median 1.8 s, sigma 0.45, a picture before its text 2.4 s; none above `BURST_GAP_S`: who pauses for longer
expects an answer. An agent needs log-normal 2.8 s, sigma 0.35, between 1 and 12 s.

Of the bursts 22 % begin with a greeting, 8 % with a picture. The other bubbles that are not the last: cut behind a
connector (28 %), before one (44 %), whole sentences (22 %), questions that are explained afterwards (6 %). One sentence
in three that is no question ends with its full stop.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from processor.thought import Bubble

__all__ = ["BURST_GAP_S", "HELD_OUT", "TRAINING", "Thought", "agent_s", "corpus"]

BURST_GAP_S = 4.0
TRAINING, HELD_OUT = 20260101, 20261123  # policies were chosen on the one, the score is of the other
THOUGHTS = 12
HISTORY = 10  # of the twenty lines that a conversation remembers, the contact's half
EPOCH = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
Words = dict[str, tuple[str, ...]]
SPOKEN: dict[str, Words] = {
    "es": {
        "greeting": ("Hola", "Buenas", "Buenos días", "Hola!", "Disculpe", "Oye", "Una pregunta"),
        "opening": ("quería saber si", "necesito cambiar", "me pueden confirmar", "no me llegó", "quisiera cancelar"),
        "object": ("mi cita del martes", "la factura de octubre", "el pedido de ayer", "la dirección de la clínica"),
        "joint": ("porque", "y", "pero", "para", "que", "si"),
        "tail": ("salgo de viaje el lunes", "todavía no tengo respuesta", "la semana que viene", "es para mi mamá"),
        "further": ("es urgente", "gracias", "soy Ana López", "me urge saberlo hoy", "ya pagué"),
        "question": ("¿a qué hora es", "¿cuánto cuesta", "¿me ayudan", "¿dónde queda", "¿todavía hay lugar"),
    },
    "en": {
        "greeting": ("Hi", "Hello", "Good morning", "Hey", "Sorry", "Quick question"),
        "opening": (
            "I wanted to know about",
            "I need to change",
            "could you confirm",
            "I did not get",
            "please cancel",
        ),
        "object": ("my appointment on Tuesday", "the October invoice", "yesterday's order", "the clinic's address"),
        "joint": ("because", "and", "but", "so", "if", "for"),
        "tail": ("I am travelling on Monday", "I still have no answer", "it is for my mother", "next week works"),
        "further": ("it is urgent", "thanks", "my name is Ana", "I already paid", "let me know today"),
        "question": ("what time is it", "how much is it", "can you help", "where is it", "is there still room"),
    },
    "pt": {
        "greeting": ("Oi", "Olá", "Bom dia", "Boa tarde", "Desculpe", "Uma pergunta"),
        "opening": ("queria saber de", "preciso mudar", "podem confirmar", "não recebi", "quero cancelar"),
        "object": ("minha consulta de terça", "a fatura de outubro", "o pedido de ontem", "o endereço da clínica"),
        "joint": ("porque", "e", "mas", "para", "que", "se"),
        "tail": ("viajo na segunda", "ainda não tenho resposta", "é para a minha mãe", "semana que vem"),
        "further": ("é urgente", "obrigada", "meu nome é Ana", "já paguei", "preciso saber hoje"),
        "question": ("que horas é", "quanto custa", "podem ajudar", "onde fica", "ainda tem vaga"),
    },
}


@dataclass(frozen=True, slots=True)
class Thought:
    """Bubbles that ought to get one answer, and what this contact wrote before, as the policy may know it."""

    language: str
    bubbles: tuple[Bubble, ...]
    before: tuple[datetime, ...]


def corpus(seed: int, size: int) -> list[Thought]:
    dice = random.Random(seed)
    thoughts: list[Thought] = []
    while len(thoughts) < size:
        thoughts += _contact(dice)
    return thoughts[:size]


def _contact(dice: random.Random) -> list[Thought]:
    language, single = dice.choice(tuple(SPOKEN)), 0.9 if dice.random() < 0.55 else 0.2
    at, before, thoughts = EPOCH, list[datetime](), list[Thought]()
    for _ in range(THOUGHTS):
        bubbles = _bubbles(dice, SPOKEN[language], at, single)
        thoughts.append(Thought(language, bubbles, tuple(before[-HISTORY:])))
        before += [one.at for one in bubbles]
        at = bubbles[-1].at + timedelta(seconds=dice.uniform(40, 400))
    return thoughts


def agent_s(dice: random.Random) -> float:
    """How long an agent thinks."""
    return min(12.0, max(1.0, dice.lognormvariate(1.0296, 0.35)))


def _bubbles(dice: random.Random, words: Words, at: datetime, single: float) -> tuple[Bubble, ...]:
    count = 1 if dice.random() < single else dice.choices((2, 3, 4, 5), (625, 234, 88, 53))[0]
    pieces, bubbles = _pieces(dice, words, count), list[Bubble]()
    for number, (kind, text) in enumerate(pieces):
        if number:
            at += timedelta(seconds=_gap(dice, pieces[number - 1][0]))
        bubbles.append(Bubble(text, at, kind))
    return tuple(bubbles)


def _pieces(dice: random.Random, words: Words, count: int) -> list[tuple[str, str]]:
    """(kind, text) of each bubble."""
    sentence = _sentence(dice, words)
    if count == 1:
        return [("text", sentence if dice.random() < 0.9 else dice.choice(words["greeting"]))]
    pieces: list[tuple[str, str]] = []
    how = dice.random()
    if how < 0.08:
        pieces.append(("image", ""))
    elif how < 0.30:
        pieces.append(("text", dice.choice(words["greeting"])))
    while len(pieces) < count - 1:
        pieces.append(("text", _piece(dice, words)))
    return [*pieces, ("text", sentence)]


def _piece(dice: random.Random, words: Words) -> str:
    """Something after which the thought goes on."""
    said, how = f"{dice.choice(words['opening'])} {dice.choice(words['object'])}", dice.random()
    if how < 0.06:
        return f"{dice.choice(words['question'])}?"
    if how < 0.34:
        return f"{said} {dice.choice(words['joint'])}"
    if how < 0.78:
        return said
    return _marked(dice, said if dice.random() < 0.5 else dice.choice(words["further"]))


def _sentence(dice: random.Random, words: Words) -> str:
    """The last bubble of a thought."""
    how = dice.random()
    if how < 0.45:
        return f"{dice.choice(words['question'])}?"
    if how < 0.60:
        return _marked(dice, dice.choice(words["further"]))
    if how < 0.80:
        return _marked(dice, f"{dice.choice(words['opening'])} {dice.choice(words['object'])}")
    return _marked(dice, dice.choice(words["tail"]))


def _marked(dice: random.Random, text: str) -> str:
    return f"{text}." if dice.random() < 1 / 3 else text


def _gap(dice: random.Random, before: str) -> float:
    median = 0.8755 if before == "image" else 0.5878  # ln 2.4, ln 1.8
    while (gap := dice.lognormvariate(median, 0.45)) > BURST_GAP_S:
        pass
    return gap
