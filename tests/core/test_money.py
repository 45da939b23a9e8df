from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import (
    LARGEST,
    BadAmount,
    CurrencyMismatch,
    Fault,
    Money,
    UnknownCurrency,
    exponent,
    format_money,
    from_decimal,
    in_use,
    parse_amount,
)

LOCALES = ("en", "de", "de_CH", "fr", "pl", "hi", "ar", "ar_EG", "fa", "pt_BR", "ja")
CURRENCIES = ("EUR", "USD", "JPY", "KWD", "IQD", "CLF", "BRL", "HUF", "CHF")


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [("EUR", 2), ("JPY", 0), ("KWD", 3), ("IQD", 3), ("CLF", 4), ("HUF", 2), ("ALL", 2), ("ISK", 0), ("DEM", 2)],
)
def test_decimals_are_those_of_iso_4217_and_not_those_in_use(currency: str, decimals: int) -> None:
    assert exponent(currency) == decimals


@pytest.mark.parametrize("code", ["eur", "EURO", "", "XXX", "XAU", "XTS", "QQQ", "€", None])
def test_what_is_no_currency_is_refused(code: object) -> None:
    with pytest.raises(UnknownCurrency):
        Money(1, code)  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", [12.5, True, "12", Decimal(12)])
def test_money_is_counted_in_whole_minor_units(amount: object) -> None:
    with pytest.raises(TypeError):
        Money(amount, "EUR")  # type: ignore[arg-type]


def test_what_is_offered_is_money_that_is_in_use() -> None:
    offered = in_use()

    assert {"EUR", "USD", "JPY", "BRL", "XOF", "HUF"} <= set(offered)
    assert not {"DEM", "XEU", "ADP", "XAU", "CLF", "CNH"} & set(offered)


def test_sums_and_comparisons_stay_in_one_currency() -> None:
    ten, two = Money(1000, "EUR"), Money(200, "EUR")

    assert (ten + two, ten - two, -two) == (Money(1200, "EUR"), Money(800, "EUR"), Money(-200, "EUR"))
    assert two < ten and two <= two and ten > two and ten >= ten


def test_two_currencies_never_meet() -> None:
    ten, dollars = Money(1000, "EUR"), Money(1000, "USD")

    for meet in (
        lambda: ten + dollars,
        lambda: ten - dollars,
        lambda: ten < dollars,
        lambda: ten <= dollars,
        lambda: ten > dollars,
        lambda: ten >= dollars,
    ):
        with pytest.raises(CurrencyMismatch, match="EUR and USD"):
            meet()
    assert ten != dollars


@pytest.mark.parametrize(
    ("money", "locale", "text"),
    [
        (Money(1250, "EUR"), "de", "12,50\xa0€"),
        (Money(1000, "EUR"), "en", "€10.00"),
        (Money(-1250, "EUR"), "en", "-€12.50"),
        (Money(1250, "JPY"), "en", "¥1,250"),
        (Money(1250, "KWD"), "en", "KWD1.250"),
        (Money(1, "IQD"), "en", "IQD0.001"),
        (Money(123456789, "EUR"), "de", "1.234.567,89\xa0€"),
        (Money(LARGEST, "EUR"), "en", "€92,233,720,368,547,758.07"),
    ],
)
def test_money_reads_as_the_readers_language_writes_it(money: Money, locale: str, text: str) -> None:
    assert format_money(money, locale) == text


def test_formatting_leaves_the_locales_own_pattern_alone() -> None:
    format_money(Money(1250, "KWD"), "en")

    assert format_money(Money(1250, "EUR"), "en") == "€12.50"


@pytest.mark.parametrize(
    ("text", "currency", "locale", "minor"),
    [
        ("12,50", "EUR", "de", 1250),
        ("12,5", "EUR", "de", 1250),
        ("12", "EUR", "de", 1200),
        (" 1.250,00 € ", "EUR", "de", 125000),
        ("EUR 12,50", "EUR", "de", 1250),
        ("12,50eur", "EUR", "de", 1250),
        ("12.50", "EUR", "en", 1250),
        ("$1,250.50", "USD", "en", 125050),
        ("12,505", "EUR", "en", 1250500),
        ("1\u202f234,50", "EUR", "fr", 123450),
        ("1 234,50", "EUR", "fr", 123450),
        ("1'234.50", "CHF", "de_CH", 123450),
        ("1250", "JPY", "en", 1250),
        ("1.250", "KWD", "en", 1250),
        ("١٢٫٥٠", "EUR", "ar", 1250),
        ("12.50", "EUR", "ar", 1250),
        ("0", "EUR", "en", 0),
        ("12.500", "EUR", "en", 1250),
    ],
)
def test_an_amount_is_read_as_it_is_typed(text: str, currency: str, locale: str, minor: int) -> None:
    assert parse_amount(text, currency, locale) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency", "locale", "fault"),
    [
        ("", "EUR", "en", Fault.NOT_A_NUMBER),
        ("ten", "EUR", "en", Fault.NOT_A_NUMBER),
        ("NaN", "EUR", "en", Fault.NOT_A_NUMBER),
        ("Infinity", "EUR", "en", Fault.NOT_A_NUMBER),
        ("1e5", "EUR", "en", Fault.NOT_A_NUMBER),
        ("1_000", "EUR", "en", Fault.NOT_A_NUMBER),
        ("12.50", "EUR", "de", Fault.NOT_A_NUMBER),
        ("12,50", "EUR", "en", Fault.NOT_A_NUMBER),
        ("--5", "EUR", "en", Fault.NOT_A_NUMBER),
        ("12.50 USD", "EUR", "en", Fault.NOT_A_NUMBER),
        (".", "EUR", "en", Fault.NOT_A_NUMBER),
        ("9" * 41, "EUR", "en", Fault.NOT_A_NUMBER),
        ("-5", "EUR", "en", Fault.NEGATIVE),
        ("−5", "EUR", "en", Fault.NEGATIVE),
        ("12,505", "EUR", "de", Fault.TOO_MANY_DECIMALS),
        ("0.5", "JPY", "en", Fault.TOO_MANY_DECIMALS),
        ("92233720368547758.08", "EUR", "en", Fault.TOO_LARGE),
        ("9" * 40, "EUR", "en", Fault.TOO_LARGE),
    ],
)
def test_what_is_no_amount_is_refused_with_the_fault(text: str, currency: str, locale: str, fault: Fault) -> None:
    with pytest.raises(BadAmount) as refused:
        parse_amount(text, currency, locale)

    assert refused.value.fault is fault


def test_the_refusal_shows_how_to_write_it_here() -> None:
    with pytest.raises(BadAmount, match=r"such as 12,50\.$"):
        parse_amount("ten", "EUR", "de")
    with pytest.raises(BadAmount, match=r"such as 12\.$"):
        parse_amount("ten", "JPY", "en")
    with pytest.raises(BadAmount, match="JPY have no decimals"):
        parse_amount("1.5", "JPY", "en")


@given(st.integers(0, LARGEST), st.sampled_from(CURRENCIES), st.sampled_from(LOCALES))
def test_what_was_written_reads_back_as_the_same_money(minor: int, currency: str, locale: str) -> None:
    money = Money(minor, currency)

    assert parse_amount(format_money(money, locale), currency, locale) == money


@given(st.integers(-LARGEST, LARGEST), st.sampled_from(CURRENCIES))
def test_the_amount_in_major_units_is_exact(minor: int, currency: str) -> None:
    assert from_decimal(Money(minor, currency).amount, currency) == Money(minor, currency)


@given(st.text(max_size=12), st.sampled_from(LOCALES))
def test_any_text_is_an_amount_or_refused(text: str, locale: str) -> None:
    try:
        found = parse_amount(text, "EUR", locale)
    except BadAmount:
        return

    assert 0 <= found.amount_minor <= LARGEST


@pytest.mark.parametrize("number", ["NaN", "sNaN", "-Infinity", "1E+400", "0.001"])
def test_a_number_that_is_no_amount_is_not_rounded_into_one(number: str) -> None:
    with pytest.raises(BadAmount):
        from_decimal(Decimal(number), "EUR")
