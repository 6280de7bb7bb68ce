"""The store in memory of a sealed replay, by the name under which tests know it."""

from processor.sealed.mongo import MemoryMongo

__all__ = ["MemoryMongo"]
