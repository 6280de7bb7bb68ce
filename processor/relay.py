"""From `call.completed`, as the main backend writes it, to `contact.log`, keyed by contact.

The call's id is computed here, so that a call told twice, or in two ways, is one call whatever its producer did.
"""

from kit import ids
from kit.errors import Poison
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.kafka.outlet import Outlet
from kit.lanes import Run
from kit.logs import get_log
from kit.service import Tools
from schemas.attributes import Envelope
from schemas.contact import Contact, UnusableAddress, canonical, parse_address
from schemas.events import CallCompleted
from schemas.notices import CallRejected
from schemas.topics import CONTACT_LOG, SYSTEM_NOTICES

__all__ = ["Relay"]

SOURCE = "hilo/relay"


class Relay:
    """Repeating a record publishes the same id again; the decision drops it."""

    def __init__(self, outlet: Outlet, tools: Tools) -> None:
        self._outlet = outlet
        self._tools = tools
        self._log = get_log("relay")

    async def handle(self, run: Run[Delivery]) -> None:
        """Raises Poison for a call without a usable number, BrokerDown."""
        (delivery,) = run.records
        call = delivery.envelope.data
        assert isinstance(call, CallCompleted)  # noqa: S101
        try:
            address = parse_address(call.phone_number)
        except UnusableAddress as error:
            raise Poison("unusable_address", f"phone_number is {error}") from None
        contact = canonical(address)
        event = call.model_copy(update={"phone_number": address})
        envelope = Envelope(ids.call_id(contact, call), SOURCE, self._tools.clock.now(), contact, event)
        await self._outlet.publish(CONTACT_LOG.name, envelope)
        self._log.info("call relayed", event_id=envelope.id, contact=contact, position=str(delivery.position))

    async def rejected(self, position: Position, error: Exception, _record: Delivery | None = None) -> None:
        """Tell the main backend that a record of its was buried."""
        notice = CallRejected(
            at=self._tools.clock.now(),
            reason=str(error),
            topic=position.topic,
            partition=position.partition,
            offset=position.offset,
        )
        envelope = Envelope(f"rejected-{position}".replace(".", "_"), SOURCE, notice.at, Contact(""), notice)
        await self._outlet.publish(SYSTEM_NOTICES.name, envelope)
