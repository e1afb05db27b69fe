"""What the address of a Spark master says, before Spark is asked."""

from __future__ import annotations

import socket

from penstock.errors import UsageError

__all__ = ["on_this_machine", "reach"]


def reach(master: str) -> None:
    """Fail within seconds where no master listens: Spark itself tries for a minute and then ends the JVM."""
    if not master.startswith(("spark://", "sc://")):
        return
    addresses = master.split("://")[1].split("/")[0].split(",")
    for address in addresses:
        host, _, port = address.partition(":")
        try:
            number = int(port or (7077 if master.startswith("spark://") else 15002))
            socket.create_connection((host, number), timeout=5).close()
        except ValueError:
            raise UsageError(f'"{address}" is not a host and port', "write it like spark://127.0.0.1:7077") from None
        except OSError as error:
            last = error
        else:
            return
    raise UsageError(f"nothing answers at {master}: {last}", "is the master running, and is that its port?")


def on_this_machine(master: str) -> bool:
    """Whether the master is a process of this machine, or this process."""
    return master.startswith(("local", "spark://127.", "spark://localhost"))
