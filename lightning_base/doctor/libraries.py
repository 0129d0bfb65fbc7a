"""Versions of the libraries, against the bounds of pyproject.toml, each other's bounds, and releases known to be bad.

Imports none of them: a malicious release runs when it is imported.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lightning_base.doctor.finding import Finding

AREA = "libraries"
OWN = "lightning-base"
OPTIONAL = ("tpu", "wandb", "stream", "labels", "tune", "serve", "audio")  # extras whose libraries a user may have


@dataclass(frozen=True)
class KnownBad:
    """Releases of a library that must not be used.

    Attributes:
        versions: as a requirement has them.
        why: what is wrong with them, to be read behind the version.
        mend: what to do.
        malicious: whether importing the library does harm.
    """

    versions: Requirement
    why: str
    mend: str
    malicious: bool = False


# GHSA-w37p-236h-pfx3: the wheels of 30 April 2026 run a program at import that steals credentials
_STOLEN = "is a malicious upload that steals credentials when it is imported (GHSA-w37p-236h-pfx3)"
_ROTATE = "uninstall it, change every password, key and token of this machine, then pip install 'lightning>=2.6.6'"
KNOWN_BAD = (
    KnownBad(Requirement("lightning==2.6.2"), _STOLEN, _ROTATE, malicious=True),
    KnownBad(Requirement("lightning==2.6.3"), _STOLEN, _ROTATE, malicious=True),
    KnownBad(
        Requirement("lightning<2.6.6"),
        "runs code that a checkpoint names when it loads it",
        "pip install 'lightning>=2.6.6'",
    ),
)


def malicious() -> list[str]:
    """The installed libraries that must not even be imported, with their versions."""
    found = {name: installed(name) for name in {bad.versions.name for bad in KNOWN_BAD}}
    return [
        f"{name} {version}"
        for name, version in found.items()
        if version is not None and (bad := known_bad(name, version)) is not None and bad.malicious
    ]


def installed(name: str) -> str | None:
    """The version of a distribution; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def known_bad(name: str, version: str) -> KnownBad | None:
    """What is known against a release."""
    for bad in KNOWN_BAD:
        if bad.versions.name == canonicalize_name(name) and fits(bad.versions, version):
            return bad
    return None


def fits(requirement: Requirement, version: str) -> bool:
    """Whether a version is within a requirement's bounds."""
    return requirement.specifier.contains(version, prereleases=True)


def requirements(name: str) -> list[Requirement]:
    """What an installed distribution requires, extras and all; nothing where it is not installed."""
    try:
        return [Requirement(text) for text in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError:
        return []


def applies(requirement: Requirement, extra: str = "") -> bool:
    """Whether a requirement is one of this Python and platform, with an extra or none."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def libraries() -> list[Finding]:
    """One finding per library, this package and Python first."""
    asked = requirements(OWN)
    if not asked:
        found = [Finding("warning", AREA, OWN, "not installed, so that its bounds are not known", "pip install -e .")]
    else:
        found = [Finding("ok", AREA, OWN, installed(OWN) or "")]
    found.append(python())
    core = [requirement for requirement in asked if applies(requirement)]
    names = {canonicalize_name(requirement.name) for requirement in core}
    found += [library(requirement) for requirement in core]
    optional = {}
    for extra in OPTIONAL:
        for requirement in asked:
            name = canonicalize_name(requirement.name)
            if name not in names and not applies(requirement) and applies(requirement, extra):
                optional[name] = requirement
    found += [library(requirement) for name, requirement in optional.items() if installed(name)]
    return [*found, *pairs(sorted(names | set(optional)))]


def python() -> Finding:
    """Whether the interpreter is one that this package takes."""
    version = ".".join(map(str, sys.version_info[:3]))
    try:
        bound = Requirement(f"python{metadata.metadata(OWN)['Requires-Python'] or ''}")
    except metadata.PackageNotFoundError:
        bound = Requirement("python")
    if fits(bound, version):
        return Finding("ok", AREA, "python", version)
    return Finding("trouble", AREA, "python", f"{version} is not {bound.specifier}", "make an environment of another")


def library(requirement: Requirement) -> Finding:
    """How a library stands to what is required of it."""
    name, version = requirement.name, installed(requirement.name)
    mend = f"pip install '{name}{requirement.specifier}'"
    if version is None:
        return Finding("trouble", AREA, name, "not installed", mend)
    if (bad := known_bad(name, version)) is not None:
        return Finding("trouble", AREA, name, f"{version} {bad.why}", bad.mend)
    if not fits(requirement, version):
        return Finding("trouble", AREA, name, f"{version} is not {requirement.specifier}", mend)
    return Finding("ok", AREA, name, version)


def pairs(names: list[str]) -> Iterator[Finding]:
    """Libraries that ask for another version of one another than is there."""
    for name in names:
        version = installed(name)
        if version is None:
            continue
        for requirement in requirements(name):
            theirs = installed(requirement.name) if canonicalize_name(requirement.name) in names else None
            if theirs is not None and applies(requirement) and not fits(requirement, theirs):
                needs = f"{version} needs {requirement.name}{requirement.specifier}, {theirs} is installed"
                mend = f"pip install {name} '{requirement.name}{requirement.specifier}'"
                yield Finding("trouble", AREA, name, needs, mend)
    xla, torch = installed("torch-xla"), installed("torch")
    if xla and torch and Version(xla).release[:2] != Version(torch).release[:2]:
        # its wheels are built against one torch, which their metadata do not say; 2.9 against 2.9.1
        needs = f"{xla} needs torch {'.'.join(map(str, Version(xla).release[:2]))}, {torch} is installed"
        mend = "make an environment of its own and pip install -e '.[tpu]' there"
        yield Finding("trouble", AREA, "torch-xla", needs, mend)
