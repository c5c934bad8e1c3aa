"""Opens an address in the browser of the person who asks, once the server behind it answers. `python -m kanzoo.browser URL`."""

import os
import subprocess
import sys
import time
import webbrowser
from urllib.error import URLError
from urllib.request import urlopen

#: Seconds that a server may take to start.
_PATIENCE = 60.0


def has_screen() -> bool:
    """Return whether somebody sits before a terminal on a machine with a display."""
    return sys.stdout.isatty() and (sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")))


def open_later(url: str) -> None:
    """Have a process of its own open the address as soon as its server answers, so that this one may become the server."""
    subprocess.Popen([sys.executable, "-m", "kanzoo.browser", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def open_when_up(url: str, patience: float = _PATIENCE) -> bool:
    """Wait until the address answers, open it, and return whether it did answer in time."""
    limit = time.monotonic() + patience
    while time.monotonic() < limit:
        try:
            urlopen(url, timeout=5).close()
        except (URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
        else:
            return webbrowser.open(url)
    return False


if __name__ == "__main__":
    open_when_up(sys.argv[1])
