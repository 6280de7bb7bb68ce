"""A broker as a managed cluster offers it: SASL_SSL, PLAIN and SCRAM-SHA-512, a certificate of an authority of its own.

The certificates are made by the keytool of the same Java wheel, the SCRAM user through the plain listener that stays
for that and for the broker itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from kit.settings import KafkaSettings
from sandbox.stack.java import LEAN, java
from sandbox.stack.kafka import KafkaServer, server_properties
from sandbox.stack.ports import HOST, free_ports

__all__ = ["ANOTHER_AUTHORITY", "PASSWORD", "USER", "Secured", "secured_kafka"]

USER, PASSWORD, STORE = "hilo", "sekreto-kafka", "sekreto-store"  # the log fixture looks for the word
ANOTHER_AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBizCCARCgAwIBAgIJALazdI+p5zrTMAoGCCqGSM49BAMDMBIxEDAOBgNVBAMT
B1Rlc3QgQ0EwHhcNMjYxMTI2MTI0MTA1WhcNMjYxMjI2MTI0MTA1WjASMRAwDgYD
VQQDEwdUZXN0IENBMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEnCTbxSYtMHW9IEvF
GXwkYWsqAZQJihFGRhK1uBvGnEd4aCsUHRoGIO9gkELnwrwQGT774FjneB4vDqgp
GZv7PstGZTHiN/n3vYrEs/x5Dw+uMfGXL5UjNePe0V7TCgjCozIwMDAdBgNVHQ4E
FgQUf5dGorHNywKfdoLvpVPtxzXq+TcwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjO
PQQDAwNpADBmAjEArShrWdCw9RkfW8oXzNq3ZroQmIGEe+4zGcrKam1dWuctnSck
LVTf1dY7fVnMiV3/AjEAnGSu24GTbR8SXpmvhSO2jDXLcWG0q/EuMerOlf/gk6ia
MYDCrkAS5cD7cN9Jqf3y
-----END CERTIFICATE-----
"""


@dataclass(frozen=True)
class Secured:
    """Addresses of one broker, and the authority that signed its certificate."""

    tls: str
    """SASL_SSL, for 127.0.0.1."""
    plain: str
    """No encryption, no user."""
    authority: Path

    async def make_user(self, user: str, password: str) -> None:
        """For SCRAM-SHA-512; with another password where there is one already."""
        await asyncio.to_thread(_make_scram_user, self.plain, user, password)

    def settings(self, **given: Any) -> KafkaSettings:
        """As they should be, but for what is given."""
        right: dict[str, Any] = {
            "kafka_bootstrap_servers": self.tls,
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            "kafka_sasl_username": USER,
            "kafka_sasl_password": PASSWORD,
            "kafka_ssl_cafile": self.authority,
            "kafka_session_timeout_ms": 6000,
        }
        return KafkaSettings(**{**right, **given}, _env_file=None)


@asynccontextmanager
async def secured_kafka(folder: Path) -> AsyncIterator[Secured]:
    """Six seconds of CPU: one for all tests of a file."""
    store, authority = await _certificates(folder)
    tls: list[int] = []

    def properties(port: int, controller: int) -> str:
        tls[:] = [one for one in free_ports(3) if one not in {port, controller}][:1]
        return server_properties(port, controller) + _more(port, controller, tls[0], store)

    async with KafkaServer(folder, properties=properties) as server:
        secured = Secured(f"{HOST}:{tls[0]}", server.bootstrap_servers, authority)
        await secured.make_user(USER, PASSWORD)
        yield secured


async def _certificates(folder: Path) -> tuple[Path, Path]:
    """A key with a certificate for 127.0.0.1 only, and the certificate of who signed it."""
    store, authority = folder / "server.p12", folder / "authority.pem"
    made = ("-genkeypair", "-keyalg", "EC", "-validity", "2")
    await _keytool(store, *made, "-alias", "ca", "-dname", "CN=Hilo test", "-ext", "bc:c", "-ext", "ku:c=keyCertSign")
    await _keytool(store, *made, "-alias", "server", "-signer", "ca", "-dname", "CN=kafka", "-ext", f"san=ip:{HOST}")
    await _keytool(store, "-exportcert", "-rfc", "-alias", "ca", "-file", str(authority))
    await _keytool(store, "-delete", "-alias", "ca")  # the broker would have two keys to choose from
    return store, authority


async def _keytool(store: Path, *arguments: str) -> None:
    lean = [f"-J{option}" for option in LEAN]
    command = [str(java().with_name("keytool")), *lean, *arguments, "-keystore", str(store), "-storepass", STORE]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()


def _more(port: int, controller: int, tls: int, store: Path) -> str:
    """Of a name that stands twice in a file of properties, the last one counts."""
    plain = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL"
    return f"""\
listeners=PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller},SASL_SSL://{HOST}:{tls}
advertised.listeners=PLAINTEXT://{HOST}:{port},SASL_SSL://{HOST}:{tls}
listener.security.protocol.map={protocols}
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={plain}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram}
ssl.keystore.type=PKCS12
ssl.keystore.location={store}
ssl.keystore.password={STORE}
"""


def _make_scram_user(servers: str, user: str, password: str) -> None:
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    wanted = UserScramCredentialUpsertion(user, info, password.encode())
    client = AdminClient({"bootstrap.servers": servers})  # must outlive what it was asked
    for done in client.alter_user_scram_credentials([wanted]).values():
        done.result(10)
