"""Everything about the pretended Twilio account that a test or a demo may want to change."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]


class Delay(BaseModel):
    """A log-normal wait: half of them are shorter than the median."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    median_ms: float = Field(ge=0)
    sigma: float = Field(default=0.35, ge=0)


class Profile(BaseModel):
    """One account and how the world around it behaves. Replaced as a whole, never edited in place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account_sid: str = "AC" + "0" * 31 + "1"
    auth_token: str = "simulated-auth-token"
    api_keys: dict[str, str] = {}
    """Key sid → secret, each a second way to authenticate REST calls. Webhooks are signed by the auth token only."""
    shared_key: tuple[str, str] | None = None
    """(key id, secret): sign webhooks HMAC-SHA256 and announce it, as the beta of Sep 2026 does."""

    numbers: tuple[str, ...] = ("+14155238886",)
    locked_numbers: tuple[str, ...] = ()
    messaging_service_sid: str | None = None

    inbound_url: str | None = None
    """Signed exactly as written, without its `#rc=…&rp=…` overrides."""
    fallback_url: str | None = None
    status_url: str | None = None
    """Where statuses go when a send names no `StatusCallback`."""
    connect: dict[str, str] = {}
    """Public origin → origin to connect to. The signature and the Host header stay those of the public one."""
    public_url: str | None = None
    """Base of `MediaUrl0` and of CDN redirects; the simulator's own address when not given."""

    seed: int = 1
    speed: float = Field(default=1, gt=0)
    """Every wait of this simulator (transitions, pacing, holds) is divided by it; network timeouts are not."""
    sent: Delay = Delay(median_ms=300)
    delivered: Delay = Delay(median_ms=900)
    read: Delay = Delay(median_ms=3000)
    read_probability: Probability = 1
    async_errors: dict[int, Probability] = {}
    """Error code → probability that a send that was accepted ends so."""
    window_hours: float = 24
    window_status: Literal["undelivered", "failed"] = "undelivered"
    """How 63016 shows; which of the two Twilio uses on WhatsApp is not documented."""
    invert_probability: Probability = 0
    """That two bubbles sent within `invert_within_ms` reach the handset swapped, as WhatsApp may."""
    invert_within_ms: float = 500

    mps: float = Field(default=80, gt=0)
    pair_limit: bool = False
    pair_every_s: float = 6
    pair_burst: int = 10
    max_queue_s: float = 14_400
    max_concurrency: int = 1_000
    rest_latency: Delay = Delay(median_ms=0)

    list_lag_ms: float = 0
    datesent_excludes_unsent: bool = True
    media_404_first_n: int = 0
    advanced_opt_out: bool = False

    webhook_concurrency: int = Field(default=256, ge=1)
    retry_pause_ms: float = 100
    # Ledgers are rings: a run of days must not fill the memory of the machine under test.
    keep_messages: int = Field(default=20_000, ge=1)
    keep_deliveries: int = Field(default=5_000, ge=1)
    keep_contacts: int = Field(default=20_000, ge=1)
    keep_bubbles: int = Field(default=500, ge=1)
    """Per handset; its events are four times as many."""
