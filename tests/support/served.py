"""A server of models that are not exported, as a process: `python -m tests.support.served '{"seconds": 0.1}'`.

Its one argument is JSON: what the table's model takes, and under "settings" what the server does.
"""

import json
import sys
from pathlib import Path

from lightning_base.serving.app import Application
from lightning_base.serving.logs import Log
from lightning_base.serving.server import bind, run
from lightning_base.serving.settings import Settings
from tests.support.answering import Fake, Pictures, Writer


def main(options: dict[str, object]) -> int:
    """Serves until it is told to end."""
    settings = Settings(**options.pop("settings", {}))  # type: ignore[arg-type]
    models = [(Path("a"), Fake(**options)), (Path("b"), Pictures()), (Path("c"), Writer(seconds=0.05))]  # type: ignore[arg-type]
    return run(Application(models, settings, Log()), bind("127.0.0.1", 0))  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
