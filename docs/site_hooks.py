"""Hooks of mkdocs: pages that stand outside docs/ join the site, and links lead where they lead in the checkout."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

OUTSIDE = {  # where a page stands in the checkout: where in the site
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "launch/README.md": "launch.md",
    "launch/serve/README.md": "launch_serve.md",
    "lightning_base/data/README.md": "rooms/data.md",
    "lightning_base/folds/README.md": "rooms/folds.md",
    "lightning_base/folds/executors/vectorized/README.md": "rooms/vectorized.md",
    "lightning_base/training/README.md": "rooms/training.md",
}
FOLDERS = {posixpath.dirname(path): path for path in OUTSIDE if posixpath.dirname(path)}  # a link to a folder
STANDS = {page: path for path, page in OUTSIDE.items()}
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\n]+)\]\((?P<to>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```[^\S\n]*$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The site's files and the pages from outside docs/."""
    root = Path(config.config_file_path).parent
    for path, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with links that hold in the site; code is left as it stands."""
    root = Path(config.config_file_path).parent
    parts = FENCE.split(markdown)
    parts[::2] = [LINK.sub(lambda found: link(found, page.file.src_uri, root), part) for part in parts[::2]]
    return "".join(parts)


def link(found: re.Match[str], page: str, root: Path) -> str:
    """A link of a page as the site has it; of a file that is no page, of which there is no public copy, the text alone.

    What leads nowhere stays, and fails the build.
    """
    folder = posixpath.dirname(STANDS.get(page, f"docs/{page}"))
    target = posixpath.normpath(posixpath.join(folder, found["to"]))
    target = FOLDERS.get(target, target)
    if target in OUTSIDE or (target.startswith("docs/") and (root / target).is_file()):
        to = OUTSIDE.get(target, target.removeprefix("docs/"))
        return f"[{found['text']}]({posixpath.relpath(to, posixpath.dirname(page) or '.')}{found['anchor'] or ''})"
    return found["text"] if (root / target).exists() else found[0]
