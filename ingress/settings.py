from pydantic import Field, SecretStr

from kit.settings import KafkaSettings, ListOfSecrets, MongoSettings, TwilioSettings, Url
from kit.workers import WorkerSettings

__all__ = ["IngressSettings"]


class IngressSettings(KafkaSettings, MongoSettings, TwilioSettings, WorkerSettings):
    ingress_port: int = Field(default=3001, ge=0, le=65535, description="port of the webhooks and the API")
    public_base_url: Url = Field(description="how Twilio reaches us, path prefix included: signatures cover it")
    api_token: ListOfSecrets = Field(min_length=1, description="bearer token of /api; two, with a comma, to rotate")
    elevenlabs_webhook_secret: SecretStr | None = Field(
        default=None, description="signs ElevenLabs' post-call webhook; empty: that route answers 404"
    )
    publish_deadline_s: float = Field(default=2.5, gt=0, description="s; 503 after it, well inside Twilio's 15 s")
    max_connections: int = Field(
        default=1000, ge=1, description="open at once per worker; each may hold a body of 256 kB, and a call of 4 MB"
    )
    api_rate_per_s: float = Field(
        default=50, gt=0, description="requests a second of one API token; a hundred calls may end every two seconds"
    )
    api_burst: int = Field(default=100, ge=1, description="requests of one API token at once, after a quiet time")
