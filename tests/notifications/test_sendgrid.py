"""The SendGrid transport against a server that behaves like the vendor, faults included."""

import os
import select
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from notifications import sendgrid, substitution
from notifications.sendgrid import SendGrid
from notifications.transport import Address, Batch, Envelope, Failed, Handed, Outcome, unsubscribe_headers
from tests.vendor_sendgrid import Answer, Delay, Fault, Vendor


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as vendor:
        yield vendor


@pytest.fixture
def transport(vendor: Vendor) -> Iterator[SendGrid]:
    transport = SendGrid(vendor.url, vendor.api_key)
    yield transport
    transport.close()


@pytest.fixture
def hasty(vendor: Vendor) -> Iterator[SendGrid]:
    """A transport that soon gives up: only for a vendor that never replies, for a slow machine is late too."""
    transport = SendGrid(vendor.url, vendor.api_key, reply_seconds=0.4)
    yield transport
    transport.close()


def an_envelope(place: int = 0, **changes: object) -> Envelope:
    name = f"Person {place}"
    envelope = Envelope(f"p{place}@mail.example", name, {"name": name, "note": "one\ntwo"}, f"m-{place}")
    return replace(envelope, **changes)  # type: ignore[arg-type]


def a_batch(*envelopes: Envelope) -> Batch:
    return Batch(
        subject_template="A word, -name_text-",
        html_template="<p title='-name_html-'>-name_html-</p><p>-note_html_lines-</p>",
        text_template="-name_text-\n\n-note_text_lines-",
        sender=Address("care@northwind.example", "Northwind Outdoor"),
        language="en",
        brand="northwind",
        category="case_reply",
        envelopes=envelopes,
    )


def failure(outcome: Outcome) -> sendgrid.TransportError:
    assert isinstance(outcome, Failed)
    return outcome.error


def test_a_batch_is_handed_over_in_one_call_with_our_id_for_each_and_no_tracking(
    vendor: Vendor, transport: SendGrid
) -> None:
    headers = unsubscribe_headers("https://feedback.example/u/abc")

    outcomes = transport.send(a_batch(an_envelope(1, headers=headers), an_envelope(2)))

    assert [type(each) for each in outcomes] == [Handed, Handed]
    assert [each.message_public_id for each in outcomes] == ["m-1", "m-2"]
    assert [mail.to for mail in vendor.mails] == ["p1@mail.example", "p2@mail.example"]
    assert [mail.custom_args for mail in vendor.mails] == [{"amends_message": "m-1"}, {"amends_message": "m-2"}]
    assert {each.provider_id for each in outcomes if isinstance(each, Handed)} == {vendor.mails[0].provider_id}
    assert vendor.mails[0].headers["List-Unsubscribe"] == "<https://feedback.example/u/abc>"
    assert vendor.mails[0].headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    tracking = vendor.calls[0]["tracking_settings"]
    assert tracking["click_tracking"] == {"enable": False, "enable_text": False}
    assert tracking["open_tracking"] == {"enable": False}


def test_many_batches_use_one_connection(vendor: Vendor, transport: SendGrid) -> None:
    for place in range(20):
        transport.send(a_batch(an_envelope(place)))

    assert len(vendor.mails) == 20
    assert vendor.connections == 1


def test_a_call_holds_a_thousand_recipients_and_the_next_one_the_rest(vendor: Vendor, transport: SendGrid) -> None:
    outcomes = transport.send(a_batch(*(an_envelope(place) for place in range(2_001))))

    assert all(isinstance(each, Handed) for each in outcomes)
    assert [len(call["personalizations"]) for call in vendor.calls] == [1_000, 1_000, 1]
    assert [mail.to for mail in vendor.mails] == [f"p{place}@mail.example" for place in range(2_001)]
    assert vendor.connections == 1


def test_different_answers_to_addresses_are_different_calls(vendor: Vendor, transport: SendGrid) -> None:
    transport.send(a_batch(an_envelope(1, reply_to="a@desk.example"), an_envelope(2), an_envelope(3)))

    assert {mail.to: mail.reply_to for mail in vendor.mails} == {
        "p1@mail.example": "a@desk.example",
        "p2@mail.example": None,
        "p3@mail.example": None,
    }
    assert len(vendor.calls) == 2


def test_values_are_escaped_for_html_and_plain_in_text(vendor: Vendor, transport: SendGrid) -> None:
    values = {"name": '<b>O\'Neil & "Co"</b>', "note": "5 < 6\r\n<script>alert(1)</script>"}

    transport.send(a_batch(an_envelope(values=values)))

    [mail] = vendor.mails
    name = "&lt;b&gt;O&#x27;Neil &amp; &quot;Co&quot;&lt;/b&gt;"
    note = "5 &lt; 6<br>\n&lt;script&gt;alert(1)&lt;/script&gt;"
    assert mail.html == f"<p title='{name}'>{name}</p><p>{note}</p>"
    assert mail.text == '<b>O\'Neil & "Co"</b>\n\n5 < 6\n<script>alert(1)</script>'


def test_a_value_that_looks_like_a_tag_pulls_nothing_in(vendor: Vendor, transport: SendGrid) -> None:
    values = {"name": "-note_text_lines-", "note": "<script>alert(1)</script> -name_text- -name_html-"}

    transport.send(a_batch(an_envelope(values=values)))

    [mail] = vendor.mails
    assert "<script" not in mail.html
    assert mail.subject == "A word, \u2010note_text_lines-"
    assert mail.text.startswith("\u2010note_text_lines-\n")


def test_the_vendors_filling_and_ours_give_the_same(vendor: Vendor, transport: SendGrid) -> None:
    values = {"name": "هَنَا -name_html- \u202e", "note": "a-b\n\n-note_html_lines-\tc -- d"}
    batch = a_batch(an_envelope(values=values))

    transport.send(batch)

    ready = substitution.substitutions(substitution.tags_in(batch.html_template, batch.text_template), values)
    assert vendor.mails[0].html == substitution.filled(batch.html_template, ready)
    assert vendor.mails[0].text == substitution.filled(batch.text_template, ready)


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028", "\x00"])
def test_a_line_end_in_a_name_or_a_subject_is_folded(vendor: Vendor, transport: SendGrid, line_end: str) -> None:
    name = f"Eve{line_end}Bcc: all@mail.example"

    transport.send(a_batch(an_envelope(to_name=name, values={"name": name, "note": ""})))

    [mail] = vendor.mails
    assert mail.name == "Eve Bcc: all@mail.example"
    assert mail.subject == "A word, Eve Bcc: all@mail.example"
    assert "Eve Bcc" in mail.text


@pytest.mark.parametrize(
    "changes",
    [
        {"to_address": "a@mail.example\r\nBcc: b@mail.example"},
        {"to_address": "a@mail.example, b@mail.example"},
        {"to_address": "nobody"},
        {"reply_to": "x@desk.example\nBcc: y@mail.example"},
        {"headers": {"X-Case": "AM-1\r\nBcc: b@mail.example"}},
        {"headers": {"X-Case\r\nBcc": "b@mail.example"}},
        {"headers": {"Bcc": "b@mail.example"}},
        {"values": {"name": "without a note"}},
    ],
)
def test_what_must_not_be_said_fails_alone_and_for_good(
    vendor: Vendor, transport: SendGrid, changes: dict[str, object]
) -> None:
    outcomes = transport.send(a_batch(an_envelope(1, **changes), an_envelope(2)))

    assert failure(outcomes[0]).permanent
    assert isinstance(outcomes[1], Handed)
    assert [mail.to for mail in vendor.mails] == ["p2@mail.example"]


def test_a_value_too_long_for_a_substitution_is_put_in_by_us(vendor: Vendor, transport: SendGrid) -> None:
    long = an_envelope(1, values={"name": "Ana", "note": "wörter & mehr\n" * 2_000})

    outcomes = transport.send(a_batch(long, an_envelope(2)))

    assert all(isinstance(each, Handed) for each in outcomes)
    [mail] = [mail for mail in vendor.mails if mail.to == "p1@mail.example"]
    assert mail.html.count("wörter &amp; mehr") == 2_000
    assert mail.text.count("wörter & mehr") == 2_000
    assert mail.subject == "A word, Ana"


@pytest.mark.parametrize("names_fields", [True, False])
def test_a_refused_batch_is_split_until_the_offenders_are_alone(
    vendor: Vendor, transport: SendGrid, names_fields: bool
) -> None:
    vendor.names_fields = names_fields
    vendor.bad_addresses = {"p3@mail.example", "p77@mail.example"}

    outcomes = transport.send(a_batch(*(an_envelope(place) for place in range(100))))

    refused = [each.message_public_id for each in outcomes if isinstance(each, Failed)]
    assert refused == ["m-3", "m-77"]
    assert failure(outcomes[3]).permanent
    assert "p3@" not in failure(outcomes[3]).message
    assert {mail.to for mail in vendor.mails} == {f"p{n}@mail.example" for n in range(100)} - vendor.bad_addresses
    assert len(vendor.mails) == 98
    assert vendor.requests <= (5 if names_fields else 30)


def test_a_wholly_bad_batch_does_not_call_for_ever(vendor: Vendor, transport: SendGrid) -> None:
    vendor.names_fields = False
    vendor.bad_addresses = {f"p{place}@mail.example" for place in range(400)}

    outcomes = transport.send(a_batch(*(an_envelope(place) for place in range(400))))

    assert 50 < vendor.requests <= sendgrid.MOST_CALLS_PER_BATCH
    assert sum(failure(each).permanent for each in outcomes) > 50
    assert not any(failure(each).uncertain for each in outcomes)


def test_a_fault_of_the_message_itself_condemns_no_recipient(vendor: Vendor, transport: SendGrid) -> None:
    batch = replace(a_batch(an_envelope(1), an_envelope(2)), sender=Address("nobody"))

    outcomes = transport.send(batch)

    assert [(failure(each).permanent, failure(each).configuration) for each in outcomes] == [(False, True)] * 2
    assert vendor.requests == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_is_our_configuration_and_ends_the_batch(
    vendor: Vendor, transport: SendGrid, status: int
) -> None:
    vendor.script(Answer(status))

    outcomes = transport.send(a_batch(*(an_envelope(place) for place in range(1_001))))

    assert vendor.requests == 1
    assert all(failure(each).configuration and not failure(each).permanent for each in outcomes)


def test_a_wrong_key_is_refused_by_the_vendor(vendor: Vendor) -> None:
    transport = SendGrid(vendor.url, "SG.another")

    [outcome] = transport.send(a_batch(an_envelope()))

    transport.close()
    assert failure(outcome).configuration
    assert vendor.mails == []


def test_a_call_too_large_is_halved_and_alone_it_is_permanent(vendor: Vendor, transport: SendGrid) -> None:
    vendor.script(Answer(413), Answer(413))

    outcomes = transport.send(a_batch(an_envelope(1), an_envelope(2)))

    assert [isinstance(each, Handed) for each in outcomes] in ([True, False], [False, True])
    assert [failure(each).permanent for each in outcomes if isinstance(each, Failed)] == [True]


def test_a_refusal_before_the_whole_request_was_read_is_still_heard(vendor: Vendor, transport: SendGrid) -> None:
    batch = replace(a_batch(an_envelope()), html_template="x" * (31 * 1024 * 1024))

    [outcome] = transport.send(batch)

    assert not failure(outcome).uncertain
    assert vendor.mails == []


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, timedelta(seconds=7)),
        ({"Retry-After": "999999"}, timedelta(hours=1)),
        ({"Retry-After": "-4"}, timedelta(minutes=1)),
        ({"Retry-After": "soon"}, timedelta(minutes=1)),
        ({}, timedelta(minutes=1)),
    ],
)
def test_too_many_requests_waits_as_long_as_the_vendor_asks(
    vendor: Vendor, transport: SendGrid, headers: dict[str, str], wait: timedelta
) -> None:
    vendor.script(Answer(429, headers=headers))

    outcomes = transport.send(a_batch(*(an_envelope(place) for place in range(1_001))))

    assert vendor.requests == 1
    assert {failure(each).retry_after for each in outcomes} == {wait}
    assert not any(failure(each).permanent or failure(each).uncertain for each in outcomes)


def test_a_wait_given_as_a_moment_is_read_against_the_vendors_clock(vendor: Vendor, transport: SendGrid) -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    vendor.script(
        Answer(429, headers={"X-RateLimit-Reset": str(int(soon.timestamp()))}),
        Answer(429, headers={"Retry-After": format_datetime(soon, usegmt=True)}),
    )

    waits = [failure(transport.send(a_batch(an_envelope()))[0]).retry_after for _ in range(2)]

    assert all(wait is not None and timedelta(minutes=50) < wait <= timedelta(hours=1) for wait in waits)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_vendor_out_of_order_is_temporary(vendor: Vendor, transport: SendGrid, status: int) -> None:
    vendor.script(Answer(status, headers={"Retry-After": "5"}))

    [outcome] = transport.send(a_batch(an_envelope()))

    error = failure(outcome)
    assert (error.permanent, error.uncertain, error.configuration) == (False, False, False)
    assert error.retry_after == timedelta(seconds=5)


def test_no_vendor_at_all_is_temporary_and_certain() -> None:
    [outcome] = SendGrid("http://127.0.0.1:1", "SG.key").send(a_batch(an_envelope()))

    assert (failure(outcome).permanent, failure(outcome).uncertain) == (False, False)


@pytest.mark.parametrize("fault", [Fault.DROP_REPLY, Fault.HANG, Fault.HANG_UNTAKEN, Fault.HALF_OPEN])
def test_silence_after_a_whole_request_is_uncertain_and_what_was_not_tried_is_not(
    vendor: Vendor, hasty: SendGrid, fault: Fault
) -> None:
    vendor.script(fault)

    outcomes = hasty.send(a_batch(*(an_envelope(place) for place in range(1_001))))

    assert all(failure(each).uncertain for each in outcomes[:1_000])
    assert not failure(outcomes[1_000]).uncertain
    assert vendor.requests == 1


def test_the_connection_is_made_anew_after_a_fault(vendor: Vendor, transport: SendGrid) -> None:
    vendor.script(Fault.DROP_REPLY)

    first, second = (transport.send(a_batch(an_envelope(place)))[0] for place in range(2))

    assert failure(first).uncertain
    assert isinstance(second, Handed)
    assert vendor.connections == 2


def test_a_kept_connection_that_the_vendor_closed_is_noticed_before_it_is_used(
    vendor: Vendor, transport: SendGrid
) -> None:
    vendor.script(Fault.GOODBYE)
    transport.send(a_batch(an_envelope(1)))
    wait_until_closed(transport)

    [outcome] = transport.send(a_batch(an_envelope(2)))

    assert isinstance(outcome, Handed)
    assert vendor.connections == 2


def wait_until_closed(transport: SendGrid) -> None:
    connection = transport._line._connection
    assert connection is not None
    assert select.select([connection.sock], [], [])[0]


def test_a_slow_vendor_within_the_time_out_is_waited_for(vendor: Vendor, transport: SendGrid) -> None:
    vendor.script(Delay(0.1))

    [outcome] = transport.send(a_batch(an_envelope()))

    assert isinstance(outcome, Handed)


def test_a_child_process_opens_its_own_connection(vendor: Vendor, transport: SendGrid) -> None:
    transport.send(a_batch(an_envelope(1)))

    child = os.fork()
    if child == 0:  # pragma: no cover - measured by its exit code
        [outcome] = transport.send(a_batch(an_envelope(2)))
        os._exit(0 if isinstance(outcome, Handed) else 1)
    _, status = os.waitpid(child, 0)
    transport.send(a_batch(an_envelope(3)))

    assert os.waitstatus_to_exitcode(status) == 0
    assert vendor.connections == 2
    assert sorted(mail.to for mail in vendor.mails) == [f"p{place}@mail.example" for place in (1, 2, 3)]


def test_a_host_that_is_no_url_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="https://"):
        SendGrid("api.sendgrid.com", "SG.key")
