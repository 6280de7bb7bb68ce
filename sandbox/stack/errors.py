class StackError(Exception):
    """The stack cannot run; `str(error)` is the one sentence to show, which says what to do."""
