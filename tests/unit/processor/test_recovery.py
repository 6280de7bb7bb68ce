"""After kill -9 a contact's next turn starts within the session time-out and 3 s; `start_and_stop` measures it."""

from kit.kafka.consumers import Consumers
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.outlet import Outlet
from kit.service import Tools
from kit.settings import KafkaSettings
from processor.app import TIMING

SLACK_S = 3.0
JOINING_S = 0.5  # to join, fetch and start: measured 0.1 to 0.4


def test_what_follows_the_session_time_out_leaves_room_for_joining(tools: Tools) -> None:
    settings = KafkaSettings(_env_file=None)
    letters = DeadLetters(Outlet({}, "", tools.clock, tools.metrics), tools.clock, tools.metrics)
    options = Consumers(settings, [], letters, tools)._options()
    assert options["heartbeat_interval_ms"] / 1000 + TIMING.revoke_grace + JOINING_S < SLACK_S
