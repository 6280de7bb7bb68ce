from processor.texts.shape import Texts

TEXTS = Texts(
    hello="Olá {name}! 👋",
    hello_stranger="Olá! 👋",
    summary="Há pouco falamos sobre: {summary}",
    offer="Em que mais posso ajudar?",
    apology="Desculpe, tive um problema ao processar sua mensagem. Pode tentar de novo?",
    stranger="de novo",
    no_summary="sua ligação",
)
