"""Masked addresses: their owner recognises them, a stranger learns nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.masking import DOTS, mask_email, mask_phone


def test_an_address_keeps_its_first_letter_and_domain() -> None:
    assert mask_email("hanna.keller@posteo.example") == "h•••@posteo.example"


def test_a_quoted_at_sign_does_not_leak_the_name() -> None:
    assert mask_email('"h@k"@posteo.example') == '"•••@posteo.example'


@pytest.mark.parametrize("text", ["", "hanna", "@posteo.example", "hanna@", "   "])
def test_what_is_no_address_shows_only_dots(text: str) -> None:
    assert mask_email(text) == DOTS


def test_the_length_of_the_name_is_not_told() -> None:
    assert mask_email("h@posteo.example") == mask_email("hanna.keller@posteo.example")


def test_a_number_keeps_its_country_and_last_four_digits() -> None:
    assert mask_phone("+49 40 5550 4471") == "+49 ••• 4471"


def test_a_number_without_a_country_keeps_its_last_four_digits() -> None:
    assert mask_phone("040 / 5550-4471") == "••• 4471"


@pytest.mark.parametrize("text", ["", "4471", "+49 447", "call me"])
def test_too_few_digits_show_only_dots(text: str) -> None:
    assert mask_phone(text) == DOTS


@given(st.text())
def test_no_text_breaks_the_masks(text: str) -> None:
    assert DOTS in mask_email(text)
    assert DOTS in mask_phone(text)
