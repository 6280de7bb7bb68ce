from processor.texts.shape import Texts

TEXTS = Texts(
    hello="Hello {name}! 👋",
    hello_stranger="Hello! 👋",
    summary="We just talked about: {summary}",
    offer="What else can I help you with?",
    apology="Sorry, I had a problem processing your message. Could you try again?",
    safe="I'm sorry, I can't help with that here. Is there anything else I can do for you?",
    stranger="again",
    no_summary="your call",
)
