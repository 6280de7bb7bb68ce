from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from kit.settings import KafkaSettings, MongoSettings

__all__ = ["ConsoleSettings"]


def _places(text: str) -> str:
    """`name=url` pairs, separated by commas."""
    pairs = [one.strip().partition("=") for one in text.split(",") if one.strip()]
    if not all(name and url.startswith(("http://", "https://")) for name, _, url in pairs):
        raise ValueError("must be name=url pairs, separated by commas; each url with http:// or https://")
    return text


Places = Annotated[str, AfterValidator(_places)]


class ConsoleSettings(KafkaSettings, MongoSettings):
    console_port: int = Field(default=3002, ge=0, le=65535, description="port of the operators' pages")
    console_token: SecretStr = Field(
        min_length=8, description="lets operators in, 8 characters at least; a new one ends every session"
    )
    console_session_h: float = Field(default=12, gt=0, description="h until an operator has to log in again")
    console_services: Places = Field(
        default="", description="name=url of services whose /ready the health page asks, separated by commas"
    )

    @property
    def watched(self) -> list[tuple[str, str]]:
        """Name and address of each."""
        pairs = [one.strip().partition("=") for one in self.console_services.split(",") if one.strip()]
        return [(name.strip(), url.strip().rstrip("/")) for name, _, url in pairs]
