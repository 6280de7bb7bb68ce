"""Kafka and a MongoDB-wire server on this machine, without Docker: `async with Stack(folder) as stack`."""

from sandbox.stack.child import Child
from sandbox.stack.errors import StackError
from sandbox.stack.kafka import KafkaServer
from sandbox.stack.mongo import MongoServer
from sandbox.stack.ports import free_ports, port_taken
from sandbox.stack.stack import Stack

__all__ = ["Child", "KafkaServer", "MongoServer", "Stack", "StackError", "free_ports", "port_taken"]
