"""Cells of pictures and words on one sheet: rows and columns with heads above, ids beside and captions below."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

LINE = 17  # pixels of a line of text
INK, PAPER = (20, 20, 20), (255, 255, 255)


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """The pictures one below another."""
    if len(pictures) == 1:
        return pictures[0]
    size = (max(one.width for one in pictures), sum(one.height for one in pictures) + 2 * (len(pictures) - 1))
    whole, top = Image.new("RGB", size, PAPER), 0
    for one in pictures:
        whole.paste(one, (0, top))
        top += one.height + 2
    return whole


def grid(
    cells: Sequence[Sequence[Image.Image]],
    captions: Sequence[Sequence[str]],
    heads: Sequence[str],
    ids: Sequence[str],
    gap: int = 6,
) -> Image.Image:
    """The cells in rows and columns, each over its caption, with heads above and ids beside."""
    width = max(cell.width for row in cells for cell in row)
    height = max(cell.height for row in cells for cell in row)
    lines = max(text.count("\n") + 1 for row in captions for text in row)
    left, top, step = 120, LINE + gap, height + lines * LINE + gap
    size = (left + len(heads) * (width + gap), top + len(cells) * step)
    picture = Image.new("RGB", size, (236, 236, 236))
    draw = ImageDraw.Draw(picture)
    for k, head in enumerate(heads):
        draw.text((left + k * (width + gap), 4), head, fill=INK, font=font())
    for r, row in enumerate(cells):
        y = top + r * step
        draw.text((gap, y), shortened(ids[r], 16), fill=INK, font=font())
        for k, cell in enumerate(row):
            x = left + k * (width + gap)
            picture.paste(cell, (x, y))
            for line, text in enumerate(captions[r][k].split("\n")):
                draw.text((x, y + cell.height + 1 + line * LINE), fitting(draw, text, width), fill=INK, font=font())
    return picture


def font(size: int = 13) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own font."""
    return ImageFont.load_default(size)


def shortened(text: str, most: int) -> str:
    """The end of a text that is too long, which tells ids and paths apart."""
    return text if len(text) <= most else "…" + text[-(most - 1) :]


def fitting(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """As much of the text's beginning as fits the width."""
    while text and draw.textlength(text, font=font()) > width:
        text = text[:-1]
    return text
