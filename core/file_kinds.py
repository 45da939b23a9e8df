"""What a file is, found in its content: the few kinds that people may attach, and nothing that is something else too.

Names and claimed types say nothing. Nothing is decoded or unpacked here, so a small file cannot become a large one.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_PIXELS: Final = 300_000_000  # the largest phone cameras take 200 million; more is made to choke a viewer
HEAD, TAIL = 64 * 1024, 65_557  # bytes; a ZIP's last record lies within the last 22 + 65,535
LONGEST_NAME: Final = 120


@dataclass(frozen=True)
class FileKind:
    """A kind of file, with the endings its names may have; the first is given to names without one."""

    content_type: str
    endings: tuple[str, ...]


JPEG = FileKind("image/jpeg", ("jpg", "jpeg", "jpe", "jfif"))
PNG = FileKind("image/png", ("png",))
GIF = FileKind("image/gif", ("gif",))
WEBP = FileKind("image/webp", ("webp",))
HEIC = FileKind("image/heic", ("heic", "heif", "hif"))
AVIF = FileKind("image/avif", ("avif",))
PDF = FileKind("application/pdf", ("pdf",))
MP4 = FileKind("video/mp4", ("mp4", "m4v", "3gp", "3g2"))
MOV = FileKind("video/quicktime", ("mov", "qt"))
WEBM = FileKind("video/webm", ("webm",))

_BRANDS: Final = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), HEIC),
    **dict.fromkeys((b"avif", b"avis"), AVIF),
    **dict.fromkeys((b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash"), MP4),
    **dict.fromkeys((b"M4V ", b"M4VH", b"M4VP", b"MSNV", b"3gp4", b"3gp5", b"3gp6", b"3g2a"), MP4),
    b"qt  ": MOV,
}
# Long words are looked for everywhere; short ones, which compressed data holds by chance, only at both ends.
_MARKUP = re.compile(rb"<(?:script|iframe|!doctype)[\s>/]", re.IGNORECASE)
_SHORT_MARKUP = re.compile(rb"<(?:html|svg|body|head|\?php|\?=)[\s>/$]", re.IGNORECASE)
_ARCHIVES = re.compile(rb"Rar!\x1a\x07|7z\xbc\xaf\x27\x1c")
_ACTIVE_PDF = re.compile(rb"/(?:JavaScript|Launch|RichMedia)\b")
_ESCAPED_NAME = re.compile(rb"/[A-Za-z]{0,12}#[0-9A-Fa-f]{2}[A-Za-z0-9#]{0,40}")
_FORBIDDEN_IN_NAMES = re.compile(r'[/\\:*?"<>|]')


def recognise(content: bytes) -> FileKind | None:
    """Return what a file is, or None: of no kind we take, damaged, or made to be two things at once."""
    kind = next((found for look in _LOOKS if (found := look(content)) is not None), None)
    if kind is None or _is_archive(content):
        return None
    if kind is PDF:
        return None if _is_active(content) else kind
    return None if _holds_markup(content) or b"%PDF-" in content[:1024] else kind


def written_name(name: str, kind: FileKind) -> str:
    """Return a name that is safe to save under: one line, no path, no hidden characters, the ending of its kind."""
    known = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    shown = "".join(each for each in known if unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
    shown = _FORBIDDEN_IN_NAMES.sub("_", shown).strip(" .")
    stem, _dot, ending = shown.rpartition(".")
    if not stem or ending.lower() not in kind.endings:
        stem, ending = shown, kind.endings[0]
    return f"{stem[:LONGEST_NAME].strip(' .') or 'file'}.{ending.lower()}"


def _jpeg(content: bytes) -> FileKind | None:
    """Walk the segments to the picture's data; phones put more behind it, which is not looked into."""
    if not content.startswith(b"\xff\xd8\xff"):
        return None
    at, has_size = 2, False
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xDA:
            return JPEG if has_size else None
        (length,) = struct.unpack_from(">H", content, at + 2)
        if length < 2:
            return None
        if marker in _FRAMES and at + 9 <= len(content):
            height, width = struct.unpack_from(">HH", content, at + 5)
            has_size = 0 < height * width <= MAX_PIXELS
        at += 2 + length
    return None


_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _png(content: bytes) -> FileKind | None:
    if not content.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR") or len(content) < 33:
        return None
    width, height = struct.unpack_from(">II", content, 16)
    if not 0 < width * height <= MAX_PIXELS:
        return None
    at = 8
    while at + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        if name == b"IEND":
            return PNG
        at += 12 + length
    return None


def _gif(content: bytes) -> FileKind | None:
    if not content.startswith((b"GIF87a", b"GIF89a")) or len(content) < 14:
        return None
    width, height = struct.unpack_from("<HH", content, 6)
    return GIF if 0 < width * height <= MAX_PIXELS else None


def _webp(content: bytes) -> FileKind | None:
    if not content.startswith(b"RIFF") or content[8:12] != b"WEBP" or content[12:15] != b"VP8":
        return None
    (length,) = struct.unpack_from("<I", content, 4)
    return WEBP if length + 8 <= len(content) + 1 else None


def _boxes(content: bytes) -> FileKind | None:
    """HEIC, AVIF, MP4 and MOV: a box that names its brand, and a second box behind it."""
    if content[4:8] != b"ftyp":
        return None
    (length,) = struct.unpack_from(">I", content)
    following = content[length + 4 : length + 8]
    if not 12 <= length <= 1024 or not re.fullmatch(rb"[A-Za-z0-9 ]{4}", following):
        return None
    return _BRANDS.get(content[8:12])


def _webm(content: bytes) -> FileKind | None:
    return WEBM if content.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in content[:64] else None


def _pdf(content: bytes) -> FileKind | None:
    return PDF if re.match(rb"%PDF-[12]\.\d", content) and b"%%EOF" in content[-2048:] else None


_LOOKS: Final[tuple[Callable[[bytes], FileKind | None], ...]] = (_jpeg, _png, _gif, _webp, _boxes, _webm, _pdf)


def _is_archive(content: bytes) -> bool:
    """Whether an archive hides in a file: ZIP readers look for its last record from the end."""
    start = max(len(content) - TAIL, 0)
    at = content.rfind(b"PK\x05\x06", start)
    while at >= 0:
        if at + 22 <= len(content):
            (size,) = struct.unpack_from("<I", content, at + 12)
            if content[at - size : at - size + 4] == b"PK\x01\x02" or b"PK\x03\x04" in content:
                return True
        at = content.rfind(b"PK\x05\x06", start, at)
    return _ARCHIVES.search(content) is not None


def _holds_markup(content: bytes) -> bool:
    """Whether a browser that guesses could read a page or a program in a picture or film."""
    if _MARKUP.search(content):
        return True
    return any(_SHORT_MARKUP.search(part) for part in (content[:HEAD], content[-HEAD:]))


def _is_active(content: bytes) -> bool:
    """Whether a PDF runs something when it is opened; letters of its names may be written as #4A."""
    if _ACTIVE_PDF.search(content):
        return True
    names = (_unescaped(found[0]) for found in _ESCAPED_NAME.finditer(content))
    return any(_ACTIVE_PDF.match(name) for name in names)


def _unescaped(name: bytes) -> bytes:
    return re.sub(rb"#([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), name)
