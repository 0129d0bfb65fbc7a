"""Pages and what they need, from folders of this package alone; a page may load nothing from elsewhere."""

from pathlib import Path

from starlette.responses import Response

from lightning_base.serving.refused import Refused

HERE = Path(__file__).parent
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wav": "audio/wav",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; connect-src 'self'; font-src 'self'; worker-src 'self' blob:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(self)",
    "Cache-Control": "no-cache",
}


class Folder:
    """The files of a folder, read once.

    Args:
        name: of a folder of this package.
    """

    def __init__(self, name: str) -> None:
        root = HERE / name
        self._files = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.suffix in TYPES
        }

    def answer(self, name: str) -> Response:
        """A file of the folder.

        Raises:
            Refused: 404, where there is none of that name.
        """
        if name not in self._files:
            raise Refused(404, "there is nothing here")
        return Response(self._files[name], headers=HEADERS, media_type=TYPES[Path(name).suffix])
