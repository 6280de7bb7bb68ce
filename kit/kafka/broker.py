"""How we connect to Kafka: one place for addresses and security."""

import ssl
from typing import Any

from kit.settings import KafkaSettings

__all__ = ["client_options", "prefixed", "ssl_context"]


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments that every aiokafka client of ours takes."""
    password = settings.kafka_sasl_password
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": ssl_context(settings),
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    return options


def prefixed(settings: KafkaSettings, name: str) -> str:
    """The name of a topic or group in this installation."""
    return f"{settings.kafka_topic_prefix}{name}"


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    if "SSL" not in settings.kafka_security_protocol.replace("SASL", ""):
        return None
    return ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
