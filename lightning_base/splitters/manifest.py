"""Split manifests: a split's table as Parquet, signed with a hash over ids, roles and the data's content."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from lightning_base.errors import ArtefactError, DataError
from lightning_base.tools import checksums
from lightning_base.tools.files import replace
from lightning_base.tools.process import is_main

TEMPORAL, TRAINS_AFTER = "temporal", "trains_after"  # traits: folds follow each other in time; see TableSplitter
TRAITS_KEY = "traits"
SIGNED = ("split_hash", "data_fingerprint", "signature")


def hash_table(table: pd.DataFrame) -> str:
    """SHA-256 (64 hex digits) over every (fold, id, role) of a split's table, whatever the order of its lines."""
    digest = hashlib.sha256()
    for (fold, role), part in sorted(table.groupby(["fold", "role"])["id"], key=lambda item: item[0]):
        digest.update(f"fold {fold} {role}\n".encode())
        digest.update("\n".join(sorted(map(str, part))).encode())
    return digest.hexdigest()


def write_manifest(path: Path, table: pd.DataFrame, fingerprint: str, traits: Sequence[str] = ()) -> None:
    """Writes a split's table; its hash, the data's fingerprint and the signature over both stand in its metadata.

    Args:
        path: the file.
        table: the split's.
        fingerprint: SHA-256 over the content of the pool.
        traits: what else is true of the split, signed with it.
    """
    split_hash, said = hash_table(table), " ".join(traits)
    signed = dict(zip(SIGNED, (split_hash, fingerprint, _sign(split_hash, fingerprint, said)), strict=True))
    signed[TRAITS_KEY] = said
    content = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(content.schema.metadata or {}), **{k.encode(): v.encode() for k, v in signed.items()}}
    if is_main():
        with replace(path) as temporary:
            checksums.write_table(content.replace_schema_metadata(metadata), temporary)


def read_manifest(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """A split's table, and its `split_hash`, `data_fingerprint` and `signature`, and its `traits` ("" for none).

    Raises:
        UserError: for a file that is none, or that was changed since it was signed.
    """
    try:
        content = checksums.read_table(path, "make the split again, restore the file, or give a run's split.parquet")
    except ArtefactError as error:
        raise DataError(f"cannot be read as a split manifest: {error}") from error
    metadata = content.schema.metadata or {}
    signed = {key: metadata.get(key.encode(), b"").decode() for key in (*SIGNED, TRAITS_KEY)}
    table = content.to_pandas()
    whole = {"id", "fold", "role"} <= set(table.columns) and hash_table(table) == signed["split_hash"]
    if not whole or signed["signature"] != _sign(signed["split_hash"], signed["data_fingerprint"], signed[TRAITS_KEY]):
        raise DataError(f"{path}: the split was changed after it was written; make it again, or restore the file")
    return table, signed


def pairs_of(table: pd.DataFrame) -> dict[int, tuple[int, int]]:
    """The folds of a split's table that hold out two earlier ones of their repeat together, with these.

    No other fold holds out a sample that its repeat has held out before.
    """
    found: dict[int, tuple[int, int]] = {}
    held = table[table["role"] == "val"]
    for _, repeat in held.groupby("repeat") if "repeat" in table else ():
        first = repeat.groupby("id")["fold"].transform("min")
        for fold, owners in first.groupby(repeat["fold"]):
            earlier = sorted(set(owners) - {fold})
            if len(earlier) == 2 and fold not in set(owners):
                found[int(fold)] = (int(earlier[0]), int(earlier[1]))
    return found


def _sign(split_hash: str, fingerprint: str, traits: str) -> str:
    """SHA-256 (64 hex digits) over these; without traits as earlier versions signed."""
    return hashlib.sha256(" ".join(filter(None, (split_hash, fingerprint, traits))).encode()).hexdigest()
