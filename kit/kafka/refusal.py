"""Why a broker that answers does not take us: one sentence that begins with the setting to correct.

aiokafka raises one and the same error for a wrong password, a certificate it does not trust and a broker that is away;
what it was is only in its log. So the brokers are asked once more, a connection each, and what they say is told apart.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from kit.errors import BrokerDown, HiloError, Misconfigured
from kit.kafka.broker import client_options
from kit.settings import KafkaSettings

__all__ = ["UNREACHED", "not_reached", "refusal"]

UNREACHED = (BrokerDown, Misconfigured)
"""What `not_reached` gives: one and the same for who goes on without Kafka, as a page does."""

ANSWER_S = 3.0  # somebody waits to connect again
ANOTHER_NAME = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
PROTOCOL = "KAFKA_SECURITY_PROTOCOL"
SASL = {"PLAINTEXT": "SASL_PLAINTEXT", "SSL": "SASL_SSL"}
Options = Mapping[str, Any]


class _BrokenOff(Exception):
    """It told its versions and hung up at the next question: what a listener does that wants a user first."""


async def not_reached(settings: KafkaSettings, error: BaseException) -> HiloError:
    """Misconfigured where a broker answers and does not take us, else BrokerDown with what aiokafka said."""
    if found := await refusal(client_options(settings)):
        return Misconfigured([found])
    where = settings.kafka_bootstrap_servers
    return BrokerDown(f"Kafka at {where}: {type(error).__name__} (KAFKA_BOOTSTRAP_SERVERS)")


async def refusal(options: Options) -> str | None:
    """What a broker that answers has against us; ANSWER_S at most. None: nothing, or none answers, an outage."""
    hosts = collect_hosts(options["bootstrap_servers"])
    found = await asyncio.gather(*(_in_time(host, port, options) for host, port, _ in hosts))
    return next(filter(None, found), None)


async def _in_time(host: str, port: int, options: Options) -> str | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_S):
            return await _of(host, port, options)
    return None


async def _of(host: str, port: int, options: Options) -> str | None:
    protocol, where = options["security_protocol"], f"{host}:{port}"
    try:
        await _asked(host, port, options)
    except _BrokenOff:
        if protocol.startswith("SASL") or not await _breaks_off(host, port, options):  # twice: it is no restart
            return None
        return f"{PROTOCOL}: {where} wants a user and a password, so it is {SASL[protocol]}, not {protocol}"
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        return _told(error, where, options) or await _other_protocol(host, port, protocol)
    return None


async def _asked(host: str, port: int, options: Options) -> None:
    """As aiokafka does it at every start: versions, user, topics."""
    security = {name: value for name, value in options.items() if name != "bootstrap_servers"}
    connection = await create_conn(host, port, request_timeout_ms=int(ANSWER_S * 1000), **security)
    try:
        await connection.send(MetadataRequest([]))
    except KafkaConnectionError:
        raise _BrokenOff from None
    finally:
        connection.close()


async def _breaks_off(host: str, port: int, options: Options) -> bool:
    try:
        await _asked(host, port, options)
    except _BrokenOff:
        return True
    except (KafkaError, OSError, TimeoutError):
        return False
    return False


def _told(error: Exception, where: str, options: Options) -> str | None:
    mechanism = options.get("sasl_mechanism")
    match error:
        case ssl.SSLCertVerificationError() if error.verify_code in ANOTHER_NAME:
            return f"KAFKA_BOOTSTRAP_SERVERS: the certificate of {where} is for another name: {error.verify_message}"
        case ssl.SSLCertVerificationError():
            return (
                f"KAFKA_SSL_CAFILE: the certificate of {where} is not trusted ({error.verify_message}); "
                "set it to the PEM file of the cluster's certificate authority"
            )
        case SaslAuthenticationFailed() | AuthenticationFailedError():
            return f"KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD: {where} refuses them ({mechanism})"
        case UnsupportedSaslMechanismError():
            return f"KAFKA_SASL_MECHANISM: {where} does not take {mechanism}"
        case IllegalSaslStateError():
            return f"{PROTOCOL}: {where} asks for no user, so it is not {options['security_protocol']}"
    return None


async def _other_protocol(host: str, port: int, protocol: str) -> str | None:
    """It did not understand us: does it speak what we did not?"""
    encrypted, where = protocol in {"SSL", "SASL_SSL"}, f"{host}:{port}"
    if not encrypted and await _speaks_tls(host, port):
        return f"{PROTOCOL}: {where} speaks TLS, so it is SSL or SASL_SSL, not {protocol}"
    if encrypted and await _speaks_plain(host, port):
        return f"{PROTOCOL}: {where} does not speak TLS, so it is PLAINTEXT or SASL_PLAINTEXT, not {protocol}"
    return None


async def _speaks_tls(host: str, port: int) -> bool:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE  # nothing is said over it
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=trusting)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def _speaks_plain(host: str, port: int) -> bool:
    try:
        connection = await create_conn(host, port, request_timeout_ms=int(ANSWER_S * 1000))
    except (KafkaError, OSError, TimeoutError):
        return False
    connection.close()
    return True
