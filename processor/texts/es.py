from processor.texts.shape import Texts

TEXTS = Texts(
    hello="¡Hola {name}! 👋",
    hello_stranger="¡Hola! 👋",
    summary="Hace un momento hablamos sobre: {summary}",
    offer="¿En qué más puedo ayudarte?",
    apology="Disculpa, tuve un problema procesando tu mensaje. ¿Puedes intentar de nuevo?",
    safe="Lo siento, con eso no puedo ayudarte por aquí. ¿Hay algo más en lo que te pueda ayudar?",
    stranger="de nuevo",
    no_summary="tu llamada",
)
