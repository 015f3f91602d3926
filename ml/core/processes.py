"""Which processes there are."""

import os


def is_alive(process: int) -> bool:
    """Whether a process of this machine has the number, be it another person's."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
