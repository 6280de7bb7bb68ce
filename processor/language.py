"""Words of our languages: which one a client writes in, and texts made comparable. Pure."""

import re

__all__ = ["folded", "language_of", "words"]

WORD = re.compile(r"[^\W\d_]+")
PLAIN = str.maketrans("áàâãéêíóôõúüç", "aaaaeeiooouuc")


def words(*lines: str) -> frozenset[str]:
    """Every word of these lines."""
    return frozenset(" ".join(lines).split())


def folded(text: str) -> str:
    """Lower case, without accents: on a phone both are typed or not."""
    return text.lower().translate(PLAIN)


SMALL = {
    "es": words(
        "el la los las una y es que en por para con mi tu su se me te lo como pero muy hola gracias quiero",
        "quería necesito cuándo dónde cómo qué cuál hay está estoy tengo puedo buenas buenos días tardes",
        "ayuda cita favor sí del al más usted ustedes hoy mañana",
    ),
    "en": words(
        "the a an and is are was to of in on for with my your it i you we they this that what when where how",
        "hello hi thanks thank please want need can could would have has do does not appointment help yes",
        "today tomorrow",
    ),
    "pt": words(
        "o os as um uma e é que em por para com meu minha seu sua se me te como mas muito olá oi obrigado",
        "obrigada quero queria preciso quando onde qual há está estou tenho posso bom boa dia tarde ajuda",
        "consulta favor sim do da no na mais você vocês hoje amanhã não",
    ),
}
LETTERS = {"es": "ñ¿¡", "pt": "ãõç", "en": ""}
LEAST, LEAD = 2, 1.0  # small words that count, and how far ahead of the next language


def language_of(text: str) -> str | None:
    """`es`, `en`, `pt`, or None where its small words do not tell."""
    written = WORD.findall(text.lower())
    scores = {name: sum(word in small for word in written) for name, small in SMALL.items()}
    for name, letters in LETTERS.items():
        scores[name] += 2 * any(letter in text.lower() for letter in letters)
    (best, most), (_, second) = sorted(scores.items(), key=lambda one: -one[1])[:2]
    return best if most >= LEAST and most - second >= LEAD else None
