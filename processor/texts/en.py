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
    write_instead="I can't listen to voice notes here for now. Could you write it to me, please?",
    stop="Done, we won't write to you here any more. If you change your mind, reply START.",
    start="Good to have you back! What can I help you with?",
    slower="We got a lot of messages from you. Give me a moment, and we'll go on in a while.",
)
