"""`python -m swath` is `swath`."""

import sys

from swath.cli import main

sys.exit(main())
