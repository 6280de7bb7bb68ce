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
    write_instead="Por enquanto não consigo ouvir áudios por aqui. Você pode escrever, por favor?",
    stop="Pronto, não vamos mais escrever por aqui. Se mudar de ideia, responda INICIAR.",
    start="Que bom ter você de volta! Em que posso ajudar?",
    slower="Recebemos muitas mensagens suas. Me dê um momento, e continuamos daqui a pouco.",
)
