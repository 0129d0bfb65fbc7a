"""`python -m lightning_base` is the console script `lightning-base`."""

import sys

from lightning_base.cli import main

sys.exit(main())
