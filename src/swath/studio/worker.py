"""One job in a process of its own: the command line, ended when the server that started it is gone.

The server holds the other end of this process's standard input. When it closes, by the server's will or because the
server was killed, the job ends as it would after Ctrl-C, and what it finished so far stays for the next start.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from swath.cli import main

#: Seconds between the interrupt and the end, for a job that does not heed it.
_GRACE = 10


def _watch() -> None:
    while os.read(0, 1024):
        pass
    signal.raise_signal(signal.SIGINT)
    time.sleep(_GRACE)
    os._exit(130)


if __name__ == "__main__":
    threading.Thread(target=_watch, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
