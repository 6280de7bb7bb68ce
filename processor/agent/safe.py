"""What a client reads when the agent was stopped by a guardrail: nothing of what stopped it."""

__all__ = ["safe_reply"]

TEXTS = {
    "es": "Lo siento, con eso no puedo ayudarte por aquí. ¿Hay algo más en lo que te pueda ayudar?",
    "en": "I'm sorry, I can't help with that here. Is there anything else I can do for you?",
    "pt": "Desculpe, não posso ajudar com isso por aqui. Posso ajudar em mais alguma coisa?",
}


def safe_reply(*tags: str | None) -> str:
    """In the first of these languages that we speak; Spanish where we speak none."""
    known = (TEXTS.get((tag or "").lower().replace("_", "-").split("-")[0]) for tag in tags)
    return next(filter(None, known), TEXTS["es"])
