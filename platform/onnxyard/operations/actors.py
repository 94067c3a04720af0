"""Who acts."""

from __future__ import annotations

import getpass
import socket


def this_actor() -> str:
    """`user@host` of the caller; a user without a name is shown by `unknown`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no entry for the user id, as in many containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
