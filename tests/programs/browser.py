"""The browser in which pages are tried."""

import os
from pathlib import Path

CHROMIUM = Path(os.environ.get("OVLAB_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NO_CHROMIUM = f"{CHROMIUM} is not there (Debian's package chromium)"
