from importlib.metadata import entry_points
from typing import Literal

from pydantic import Field, SecretStr

from kit.settings import KafkaSettings, ListOfNumbers, MongoSettings, ServiceSettings, Url

__all__ = ["OpsSettings", "service_settings"]


class OpsSettings(KafkaSettings, MongoSettings):
    """What a command may use; a command that needs more says so."""

    twilio_account_sid: str = ""
    twilio_auth_token: SecretStr = SecretStr("")
    twilio_auth_token_next: SecretStr | None = None
    twilio_api_key_sid: str | None = None
    twilio_api_key_secret: SecretStr | None = None
    twilio_base_url: Url = "https://api.twilio.com"
    twilio_whatsapp_numbers: ListOfNumbers = ()
    elevenlabs_api_key: SecretStr = SecretStr("")
    elevenlabs_base_url: Url = "https://api.elevenlabs.io"
    elevenlabs_auth: Literal["api_key", "signed_url"] = "api_key"
    default_agent_id: str = Field(default="")
    # What `hilo doctor` compares with this host; defaults as the services have them.
    public_base_url: Url | None = None
    greeting_template_sid: str = ""
    reengage_template_sid: str = ""
    agent_max_sessions: int = 100
    max_connections: int = 1000


def service_settings() -> dict[str, type[ServiceSettings]]:
    """The settings class of every installed service, by its name."""
    return {one.name: one.load() for one in entry_points(group="hilo.settings")}
