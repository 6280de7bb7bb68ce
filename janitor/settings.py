from pydantic import Field

from kit.settings import KafkaSettings, MongoSettings, TwilioSettings

__all__ = ["JanitorSettings"]


class JanitorSettings(KafkaSettings, MongoSettings, TwilioSettings):
    close_after_h: float = Field(default=24, gt=0, description="h without a message; fractions allowed")
    sweep_every_s: float = Field(default=3600, gt=0, description="s between sweeps; fractions allowed")
    invariants_every_s: float = Field(default=300, gt=0, description="s between looks at what must always be true")
    lag_every_s: float = Field(default=30, gt=0, description="s between looks at how far every group is behind")
    gap_every_s: float = Field(
        default=300, gt=0, description="s between looks at Twilio's list; so late is a message whose webhook was lost"
    )
    gap_overlap_s: float = Field(
        default=900, ge=60, description="s that each look goes back behind the last one: Twilio's list may lag"
    )
    gap_lookback_h: float = Field(
        default=24, gt=0, description="h that the first look after a start goes back: the longest outage repaired"
    )
