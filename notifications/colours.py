"""A brand's one colour as the four hex values a mail needs: mail clients know neither oklch nor variables.

The bounds are those of the public pages: lightness at most .46 on light ground, .80 on dark, so that text in the
brand's colour, and white or near-black on it, keeps 4.5:1 whatever the hue.
"""

import math
import re
from dataclasses import dataclass
from functools import lru_cache

SHEET, DARK_SHEET = "#fefdfc", "#12191c"
FALLBACK = "#115e79"
TINT_SHARE, DARK_TINT_SHARE = 0.07, 0.1

_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})")
_OKLCH = re.compile(r"oklch\(\s*([\d.]+)(%?)\s+([\d.]+)\s+([\d.]+)(?:deg)?\s*\)")

Rgb = tuple[float, float, float]  # linear light, 0 to 1


@dataclass(frozen=True)
class MailColours:
    ink: str
    tint: str
    dark_ink: str
    dark_tint: str


@lru_cache(maxsize=256)
def mail_colours(colour: str) -> MailColours:
    """`colour` is a CSS hex or oklch() value; anything else falls back to the house's own blue."""
    lightness, chroma, hue = _parsed(colour.strip().lower())
    ink = _hex(min(lightness, 0.46), chroma, hue)
    dark_ink = _hex(0.80, min(chroma * 1.3, 0.12), hue)
    return MailColours(ink, _mixed(SHEET, ink, TINT_SHARE), dark_ink, _mixed(DARK_SHEET, dark_ink, DARK_TINT_SHARE))


def _parsed(colour: str) -> tuple[float, float, float]:
    if match := _OKLCH.fullmatch(colour):
        lightness = float(match[1]) / (100 if match[2] else 1)
        return min(lightness, 1.0), min(float(match[3]), 0.4), float(match[4]) % 360
    return _oklch(colour if _HEX.fullmatch(colour) else FALLBACK)


def _bytes(colour: str) -> list[int]:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    return [int(digits[place : place + 2], 16) for place in (0, 2, 4)]


def _mixed(ground: str, over: str, share: float) -> str:
    return "#" + "".join(
        f"{round(one + share * (other - one)):02x}" for one, other in zip(_bytes(ground), _bytes(over), strict=True)
    )


def _oklch(colour: str) -> tuple[float, float, float]:
    """Source of the matrices: https://bottosson.github.io/posts/oklab/"""
    red, green, blue = (_linear(each / 255) for each in _bytes(colour))
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return lightness, math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360


def _hex(lightness: float, chroma: float, hue: float) -> str:
    """The nearest colour that a screen can show with this lightness and hue: chroma gives way."""
    while chroma > 0 and not all(-0.0005 <= each <= 1.0005 for each in _rgb(lightness, chroma, hue)):
        chroma = max(chroma - 0.005, 0.0)
    return "#" + "".join(
        f"{round(255 * _gamma(min(max(each, 0.0), 1.0))):02x}" for each in _rgb(lightness, chroma, hue)
    )


def _rgb(lightness: float, chroma: float, hue: float) -> Rgb:
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _gamma(value: float) -> float:
    return 12.92 * value if value <= 0.0031308 else float(1.055 * value ** (1 / 2.4) - 0.055)
