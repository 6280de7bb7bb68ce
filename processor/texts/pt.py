from processor.texts.shape import Texts

TEXTS = Texts(
    hello="Olá {name}! 👋",
    hello_stranger="Olá! 👋",
    summary="Há pouco falamos sobre: {summary}",
    offer="Em que mais posso ajudar?",
    apology="Desculpe, tive um problema ao processar sua mensagem. Pode tentar de novo?",
    safe="Desculpe, não posso ajudar com isso por aqui. Posso ajudar em mais alguma coisa?",
    stranger="de novo",
    no_summary="sua ligação",
)
