from typing import Literal

from pydantic import Field, SecretStr

from kit.settings import ConsumerSettings, MongoSettings, TwilioSettings, Url

__all__ = ["ProcessorSettings"]


class ProcessorSettings(ConsumerSettings, MongoSettings, TwilioSettings):
    elevenlabs_api_key: SecretStr = Field(description="from ElevenLabs' settings; the agent is asked with it")
    elevenlabs_base_url: Url = "https://api.elevenlabs.io"
    elevenlabs_auth: Literal["api_key", "signed_url"] = Field(
        default="api_key", description="how a conversation's socket is let in: by the key, or by a signed URL"
    )
    default_agent_id: str = Field(min_length=1, description="the agent where neither call nor conversation names one")
    default_language: str = Field(default="es", pattern="^(es|en|pt)$", description="of our own texts: es, en or pt")
    greeting_template_sid: str = Field(
        default="", description="content template of the greeting; 1 = name, 2 = summary"
    )
    agent_attempts: int = Field(default=3, ge=1, le=10, description="in all, before the apology")
    agent_backoff_s: float = Field(default=2, ge=0, description="s before the second attempt, doubled for the third")
    agent_deadline_s: float = Field(default=40, gt=0, description="s over all attempts; a client waits no longer")
    agent_max_sessions: int = Field(
        default=100,
        ge=1,
        description="sockets to ElevenLabs at once, and at most 60 % of the plan's chat limit over all processes",
    )
    reply_max_age_s: float = Field(default=3600, gt=0, description="s; a reply is not shown later than this")
    quiet_ms: float = Field(default=900, ge=0, description="ms of silence after a bubble that looks unfinished")
    quiet_max_ms: float = Field(default=6000, ge=0, description="ms; no wait for the rest of a thought is longer")
    contact_turns_per_hour: int = Field(default=60, ge=1, description="answered turns of one contact; more get none")
    transcription: Literal["elevenlabs", "off"] = Field(
        default="elevenlabs", description="who hears voice notes; off: the client is asked kindly to write"
    )
