from pydantic import Field

from kit.settings import ConsumerSettings, MongoSettings, TwilioSettings, Url

__all__ = ["SenderSettings"]


class SenderSettings(ConsumerSettings, MongoSettings, TwilioSettings):
    public_base_url: Url = Field(description="where Twilio's status callbacks go: the ingress, as Twilio reaches it")
    greeting_template_sid: str = Field(default="", description="template of the greeting; 1 = name, 2 = summary")
    reengage_template_sid: str = Field(default="", description="template for a reply outside the window; 1 = its text")
    send_lease_s: float = Field(default=15, gt=10, description="s; longer than a POST may take (10 s)")
    sends_per_s: float = Field(default=80, gt=0, description="messages a second from one number; WhatsApp takes 80")
