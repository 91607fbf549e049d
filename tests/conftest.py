"""For every Ray that tests start. Both are read when ray is imported."""

import os

# On a machine at work, the dashboard needs longer than Ray's own 60 s.
os.environ.setdefault("RAY_DASHBOARD_STARTUP_TIMEOUT_S", "240")
# Otherwise the first Ray that is started writes one into the home folder.
os.environ.setdefault("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
