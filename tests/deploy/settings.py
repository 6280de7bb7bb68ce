"""Which settings a service has, and which it cannot start without: read from its own class."""

from functools import cache

from ops.settings import service_settings

__all__ = ["known", "required"]


@cache
def known() -> dict[str, frozenset[str]]:
    """Service → the names of its settings, as in the environment."""
    return {name: frozenset(map(str.upper, kind.model_fields)) for name, kind in service_settings().items()}


def required(service: str) -> set[str]:
    kind = service_settings()[service]
    return {name.upper() for name, field in kind.model_fields.items() if field.is_required()}
