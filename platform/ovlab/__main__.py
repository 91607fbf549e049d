"""`python -m ovlab`, for where the script is not on the path."""

import sys

from ovlab.cli import main

sys.exit(main())
