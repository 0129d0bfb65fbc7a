"""Spans of a text by the tokens that a fold's tokenizer has found in it."""

from dataclasses import replace

import numpy as np

from lightning_base.errors import DataError
from lightning_base.preprocess.tokenizer import Tokenizer
from lightning_base.samples.payload import Payload, Ragged, gather
from lightning_base.samples.samples import Samples
from lightning_base.samples.spans import LOST, in_tokens
from lightning_base.samples.targets import Targets
from lightning_base.samples.texts import texts_of
from lightning_base.tools.console import console


def spans_in(tokenizer: Tokenizer, samples: Samples, places: Payload | None) -> Targets:
    """The samples' spans by tokens, first and last (N, 2); says how many were cut off, or end inside a token.

    Args:
        tokenizer: of the text.
        samples: with that text alone, and spans by characters.
        places: where its tokens stand, as `Tokenizer.recoded_parts` has them.

    Raises:
        DataError: where the tokenizer has no `places`, or no `begin` for spans of nothing.
    """
    targets = samples.targets
    assert targets is not None
    if not isinstance(places, Ragged):
        raise DataError(f"{samples.origin}: targets are parts of this text; give its Tokenizer places=True")
    rows = np.arange(len(samples))
    spans = gather(targets.payload, rows)[0].astype(np.int64)
    none, many = int((spans[:, 0] == spans[:, 1]).sum()), len(spans)
    if none and (not tokenizer.begin or tokenizer.keep == "end"):
        raise DataError(
            f"{samples.origin}: no part of this text is right for {none} samples, for which its first token, a begin, "
            "stands; give its Tokenizer begin=True, and keep its start"
        )
    found, inexact = in_tokens(spans, list(texts_of(samples.inputs, rows)), places)
    if lost := int((found[:, 0] == LOST).sum()):
        console().print(
            f"{samples.origin}: {lost} of {many} answers stand where texts are cut: they train nothing, and no "
            "prediction finds them there"
        )
    if inexact.any():
        console().print(
            f"{samples.origin}: {int(inexact.sum())} of {many} answers begin or end inside a token: what is found by "
            "whole tokens is longer, and is scored as it is"
        )
    return replace(targets, payload=found)
