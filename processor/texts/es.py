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
    write_instead="Por ahora no puedo escuchar notas de voz aquí. ¿Me lo puedes escribir, por favor?",
    stop="Listo, no te escribiremos más por aquí. Si cambias de idea, responde ALTA.",
    start="¡Qué bueno tenerte de vuelta! ¿En qué puedo ayudarte?",
    slower="Recibimos muchos mensajes tuyos. Dame un momento y seguimos en un rato.",
)
