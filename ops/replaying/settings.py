"""What an installation decides, as a replay has to know it: the processor's own names and defaults."""

from pydantic import Field

from ops.settings import OpsSettings
from schemas.replay import Asking, Setup

__all__ = ["ReplaySettings", "setup"]


class ReplaySettings(OpsSettings):
    default_language: str = Field(default="es", pattern="^(es|en|pt)$")
    greeting_template_sid: str = ""
    reply_max_age_s: float = Field(default=3600, gt=0)
    contact_turns_per_hour: int = Field(default=60, ge=1)
    agent_attempts: int = Field(default=3, ge=1, le=10)
    agent_backoff_s: float = Field(default=2, ge=0)
    agent_deadline_s: float = Field(default=40, gt=0)


def setup(settings: ReplaySettings, agent_id: str | None = None) -> Setup:
    """No secret but ElevenLabs' key, and that only where another agent is asked."""
    asking = agent_id and Asking(
        agent_id=agent_id,
        base_url=settings.elevenlabs_base_url,
        api_key=settings.elevenlabs_api_key.get_secret_value(),
        signed=settings.elevenlabs_auth == "signed_url",
        attempts=settings.agent_attempts,
        backoff_s=settings.agent_backoff_s,
        deadline_s=settings.agent_deadline_s,
    )
    return Setup(
        channels=list(settings.twilio_whatsapp_numbers),
        default_agent_id=settings.default_agent_id,
        default_language=settings.default_language,
        greeting_template_sid=settings.greeting_template_sid,
        reply_max_age_s=settings.reply_max_age_s,
        turns_per_hour=settings.contact_turns_per_hour,
        asking=asking or None,
    )
