from pydantic import Field

from kit.settings import KafkaSettings, MongoSettings

__all__ = ["JanitorSettings"]


class JanitorSettings(KafkaSettings, MongoSettings):
    close_after_h: float = Field(default=24, gt=0, description="h without a message; fractions allowed")
    sweep_every_s: float = Field(default=3600, gt=0, description="s between sweeps; fractions allowed")
