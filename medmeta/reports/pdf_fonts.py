"""Fonts of this machine for what the PDF's own cannot show: Greek, Cyrillic, Hebrew, Chinese, Japanese, Korean.

None is shipped. The list names what Linux, Windows and macOS commonly have; a file is opened only when the text needs
it. Scripts whose letters join or move (Arabic, Devanagari, ...) would come out wrong without a shaping engine, so
they stay codes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTFont, TTLibError

_LINUX, _MAC, _WINDOWS = Path("/usr/share/fonts"), Path("/System/Library/Fonts"), Path("C:/Windows/Fonts")
#: (regular, bold) files, the most even-looking first; the first that has the Latin letters carries the page.
CANDIDATES: tuple[tuple[Path, Path], ...] = tuple(
    (folder / regular, folder / bold)
    for folder, regular, bold in (
        (_LINUX / "truetype/dejavu", "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
        (_LINUX / "dejavu-sans-fonts", "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
        (_LINUX / "truetype/noto", "NotoSans-Regular.ttf", "NotoSans-Bold.ttf"),
        (_WINDOWS, "arial.ttf", "arialbd.ttf"),
        (_MAC / "Supplemental", "Arial.ttf", "Arial Bold.ttf"),
        (_MAC / "Supplemental", "Arial Unicode.ttf", "Arial Unicode.ttf"),
        (_WINDOWS, "simhei.ttf", "simhei.ttf"),
        (_WINDOWS, "malgun.ttf", "malgunbd.ttf"),
        (_LINUX / "truetype/droid", "DroidSansFallbackFull.ttf", "DroidSansFallbackFull.ttf"),
    )
)
#: Blocks whose letters join or move: Indic, Tibetan and Myanmar, Khmer.
_SHAPED = ((0x0900, 0x0DFF), (0x0F00, 0x109F), (0x1780, 0x17FF))


@dataclass(frozen=True)
class WideFont:
    """A font file, its bold companion, and the characters it has."""

    regular: Path
    bold: Path
    characters: frozenset[int]


def wide_fonts(text: str, candidates: Iterable[tuple[Path, Path]] = CANDIDATES) -> tuple[WideFont, ...]:
    """The fewest fonts, in the order of ``candidates``, that show what Western Europe's letters cannot.

    The first has the Latin letters; empty where nothing is needed or nothing found helps.
    """
    wanted = {ord(character) for character in text if ord(character) > 255 and _drawable(character)}
    chosen: list[WideFont] = []
    if not wanted:
        return ()
    latin = set(range(0x20, 0x7F))
    for regular, bold in candidates:
        characters = _characters(regular)
        if not wanted & characters or (not chosen and not latin <= characters):
            continue
        chosen.append(WideFont(regular, bold if bold.is_file() else regular, characters))
        wanted -= characters
    return tuple(chosen)


def _drawable(character: str) -> bool:
    joins = unicodedata.bidirectional(character) == "AL"
    return not joins and not any(low <= ord(character) <= high for low, high in _SHAPED)


def shows(character: str, fonts: Sequence[WideFont]) -> bool:
    """Whether one of the fonts shows a character as it should look."""
    return _drawable(character) and any(ord(character) in font.characters for font in fonts)


def _characters(path: Path) -> frozenset[int]:
    if not path.is_file():
        return frozenset()
    try:
        with TTFont(path, lazy=True) as font:
            return frozenset(font.getBestCmap() or {})
    except (TTLibError, OSError, KeyError, ValueError):
        return frozenset()
