import pytest

from kit.service import Tools
from tests.memory_mongo import MemoryMongo
from tests.unit.ops.console.rig import Console
from tests.unit.ops.stories import World


@pytest.fixture
def world(tools: Tools) -> World:
    return World(MemoryMongo(), tools)


@pytest.fixture
def console(world: World, tools: Tools) -> Console:
    return Console(world, tools)
