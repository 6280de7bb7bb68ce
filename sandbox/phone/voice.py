"""A voice note out of nothing: a short tune as a WAV file, different each time, so that each can say something else."""

import io
import math
import random
import struct
import wave

__all__ = ["tune"]

RATE = 8_000
NOTES_HZ = (262, 294, 330, 392, 440, 523)
NOTE_S = 0.18
LOUD = 0.25


def tune(dice: random.Random, notes: int = 8) -> bytes:
    """About 1.5 s, 24 kB."""
    samples = [value for _ in range(notes) for value in _note(dice.choice(NOTES_HZ))]
    # One sample of noise: two notes with the same tune are still two files.
    samples.append(dice.randrange(-32_768, 32_768))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


def _note(hertz: int) -> list[int]:
    count = int(RATE * NOTE_S)
    fade = [math.sin(math.pi * n / count) for n in range(count)]
    return [int(32_767 * LOUD * fade[n] * math.sin(2 * math.pi * hertz * n / RATE)) for n in range(count)]
