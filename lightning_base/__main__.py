"""`python -m lightning_base` is the console script `lightning-base`."""

import sys

from lightning_base.cli.entry import main

sys.exit(main())
