"""lightning-base: from raw data to a model you can trust, from one YAML file or from Python.

`import lightning_base as lb` gives the verbs as functions (`lb.crossval`, …); torch is imported when one is called.
"""

from typing import TYPE_CHECKING, Any

from lightning_base.tools.finder import install

if TYPE_CHECKING:
    from lightning_base.verbs.functions import (
        audit,
        compare,
        crossval,
        export,
        fit,
        load,
        predict,
        prepare,
        test,
        validate,
    )

__version__ = "0.1.0"
__all__ = ["audit", "compare", "crossval", "export", "fit", "load", "predict", "prepare", "test", "validate"]

install()
del install


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lightning_base.verbs import functions

    return getattr(functions, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
