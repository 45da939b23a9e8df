"""Money: integer minor units and an ISO 4217 code, always together; no sum mixes currencies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from babel import Locale
from babel.core import get_global
from babel.numbers import NumberFormatError, get_currency_symbol, list_currencies, parse_decimal

LARGEST: Final = 2**63 - 1
"""Amounts are kept in 64-bit columns."""

_DECIMALS: Final[Mapping[int, str]] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
"""Where ISO 4217 has other than two decimals. Not Babel's digits: CLDR drops minor units out of use (IQD, ALL)."""

_EXPONENTS: Final = {code: decimals for decimals, codes in _DECIMALS.items() for code in codes.split()}

_NOT_MONEY: Final = frozenset("XAG XAU XBA XBB XBC XBD XDR XFU XPD XPT XRE XSU XTS XUA XXX".split())  # noqa: SIM905 -- as the table above
"""Codes without a minor unit: metals, units of account, tests."""

_CURRENCIES: Final = frozenset(code for code in list_currencies() if code not in _NOT_MONEY)

_ARABIC: Final = re.compile("[٠-٩٫٬]")
_BLANK: Final = re.compile(r"[\s\u200e\u200f\u061c]")
_WRITTEN: Final = re.compile(r"[+-]?[\d.,’٫٬]{1,40}")
_ALIKE: Final = str.maketrans({"−": "-", "'": "’"})
"""Signs as they are typed, and as Babel knows them."""


class UnknownCurrency(ValueError):
    """A code that is no ISO 4217 currency in capitals; past ones are, since the past was paid in them."""


class CurrencyMismatch(ValueError):
    """Two currencies met in one sum or comparison."""


class Fault(StrEnum):
    """Why a typed amount was refused, for a form's own wording."""

    NOT_A_NUMBER = "not_a_number"
    TOO_MANY_DECIMALS = "too_many_decimals"
    NEGATIVE = "negative"
    TOO_LARGE = "too_large"


class BadAmount(ValueError):
    """A typed amount that cannot be read; `fault` says why, the sentence how to write it."""

    def __init__(self, fault: Fault, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault


@dataclass(frozen=True)
class Money:
    """`amount_minor` in the currency's minor unit (cents; yen have none). UnknownCurrency or TypeError else."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if isinstance(self.amount_minor, bool) or not isinstance(self.amount_minor, int):
            raise TypeError(f"Money is counted in whole minor units, not {self.amount_minor!r}.")
        exponent(self.currency)

    def __add__(self, other: Money) -> Money:
        return Money(self.amount_minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount_minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount_minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount_minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount_minor <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.amount_minor > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.amount_minor >= self._same(other)

    @property
    def amount(self) -> Decimal:
        """The amount in major units, exact: 12.50 for 1250 cents."""
        return Decimal(self.amount_minor).scaleb(-exponent(self.currency))

    def to_json(self) -> dict[str, int | str]:
        """Return {"amount_minor": 1250, "currency": "EUR"}."""
        return {"amount_minor": self.amount_minor, "currency": self.currency}

    def _same(self, other: Money) -> int:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not go into one sum.")
        return other.amount_minor


def in_use() -> list[str]:
    """Return the ISO 4217 codes that are legal tender somewhere now, sorted."""
    tender = get_global("territory_currencies").values()
    now = {code for spans in tender for code, _start, end, is_tender in spans if is_tender and end is None}
    return sorted(_CURRENCIES & now)


def exponent(currency: str) -> int:
    """Return how many decimals ISO 4217 gives `currency` (EUR 2, JPY 0, KWD 3); raises UnknownCurrency."""
    if currency not in _CURRENCIES:
        raise UnknownCurrency(f"{currency!r} is not a currency code of ISO 4217 such as EUR.")
    return _EXPONENTS.get(currency, 2)


def format_money(money: Money, locale: Locale | str) -> str:
    """Return the amount as readers of `locale` write it, with every minor unit: "12,50 €", "¥1,250"."""
    locale = Locale.parse(locale)
    pattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (exponent(money.currency),) * 2
    text: str = pattern.apply(money.amount, locale, currency=money.currency, currency_digits=False)
    return text


def parse_amount(text: str, currency: str, locale: Locale | str) -> Money:
    """Return the money that a reader of `locale` typed: "12,50", "1.250,00 €" or "EUR 12,50" for German.

    Raises UnknownCurrency, and BadAmount for what is no amount, is negative or has more decimals than the currency.
    """
    decimals, locale = exponent(currency), Locale.parse(locale)
    number = _number(_bare(text, currency, locale), locale)
    if number is None:
        raise BadAmount(Fault.NOT_A_NUMBER, f"Write the amount as a number, such as {_example(decimals, locale)}.")
    if number < 0:
        raise BadAmount(Fault.NEGATIVE, "An amount cannot be negative.")
    if number > LARGEST:
        raise BadAmount(Fault.TOO_LARGE, "This amount is too large.")
    return Money(_minor(number, currency, decimals), currency)


def from_decimal(number: Decimal, currency: str) -> Money:
    """Return `number` major units as money; raises BadAmount rather than round, and UnknownCurrency."""
    decimals = exponent(currency)
    if not number.is_finite():
        raise BadAmount(Fault.NOT_A_NUMBER, f"{number} is not an amount.")
    if abs(number) > LARGEST:
        raise BadAmount(Fault.TOO_LARGE, "This amount is too large.")
    return Money(_minor(number, currency, decimals), currency)


def _minor(number: Decimal, currency: str, decimals: int) -> int:
    minor = number * 10**decimals
    if minor != (whole := int(minor)):
        allowed = f"at most {decimals} decimals" if decimals else "no decimals"
        raise BadAmount(Fault.TOO_MANY_DECIMALS, f"Amounts in {currency} have {allowed}.")
    if abs(whole) > LARGEST:
        raise BadAmount(Fault.TOO_LARGE, "This amount is too large.")
    return whole


def _bare(text: str, currency: str, locale: Locale) -> str:
    """Return the typed text without the currency's sign or code, marks of direction and all kinds of space."""
    symbols = (get_currency_symbol(currency, locale), get_currency_symbol(currency, "en"))
    text = _packed(text)
    for sign in (currency, currency.lower(), *symbols):
        text = text.removeprefix(_packed(sign)).removesuffix(_packed(sign))
    return text


def _packed(text: str) -> str:
    return _BLANK.sub("", text).translate(_ALIKE)


def _number(text: str, locale: Locale) -> Decimal | None:
    """Return the number that `text` is in the locale's own digits, in 0 to 9 or in Arabic ones, or None.

    Only digits, a sign and separators pass: "1e5" and "NaN" are numbers to Decimal, but not to a person at a form.
    """
    if not _WRITTEN.fullmatch(text):
        return None
    # Not all three for every text: where a locale has no Arabic numbers, Babel reads them by English separators.
    for system in ("default", "arab") if _ARABIC.search(text) else ("default", "latn"):
        try:
            return parse_decimal(text, locale, strict=True, numbering_system=system)
        except (NumberFormatError, ValueError):
            continue
    return None


def _example(decimals: int, locale: Locale) -> str:
    mark = locale.number_symbols["latn"]["decimal"]
    return "12" + (mark + "50".ljust(decimals, "0")[:decimals] if decimals else "")
