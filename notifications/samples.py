"""Believable values for every kind and language, so that staff can look at a message before a customer gets it."""

from notifications.kinds import KINDS, parts_of
from notifications.rendering import CompiledTemplate, Look, Rendered, compile, fill

_BASE = "https://feedback.northwind.example"
_COMMON = {
    "name": "Hanna",
    "number": "AM-2417",
    "code": "FJELL-7Q4K",
    "agent_name": "Sofia Lindqvist",
    "survey_url": f"{_BASE}/s/k7Qm2p",
    "person_url": f"{_BASE}/s/k7Qm2p/call",
    "unsubscribe_url": f"{_BASE}/u/k7Qm2p",
    "case_url": f"{_BASE}/c/k7Qm2p",
    "confirm_url": f"{_BASE}/confirm/k7Qm2p",
    "redeem_url": f"{_BASE}/r/k7Qm2p",
    "reset_url": f"{_BASE}/reset/k7Qm2p",
    "scale": "0-10",
}
_CALL_BACK = {
    "en": {
        "promise": "Sofia will call you by 16:00 today",
        "promise_detail": "Thursday 13 November, on +49 ••• 4471. She can send replacements and refunds herself.",
    },
    "de": {
        "promise": "Sofia ruft Sie heute bis 16:00 an",
        "promise_detail": "Donnerstag, 13. November, unter +49 ••• 4471. Ersatz und Erstattung regelt sie selbst.",
    },
    "ar": {
        "promise": "ستتصل بك صوفيا قبل الساعة ١٦:٠٠ اليوم",
        "promise_detail": "الخميس ١٣ نوفمبر. ويمكنها إرسال البديل أو ردّ المبلغ بنفسها.",
    },
}
_WORDS = {
    "en": {
        "question": "How likely are you to recommend Northwind Outdoor to a friend or colleague?",
        "low_label": "Not at all likely",
        "high_label": "Extremely likely",
        "occasion": "your call",
        "occurred_on": "Wednesday 12 November",
        "quarantine_days": "30",
        "reward": "€5 off",
        "conditions": "One order over €20. Putting your tent right is separate.",
        "valid_until": "13 February 2026",
        "received_on": "13 November",
        "changed_at": "13 November, 14:20",
        "deadline": "Monday 17 November, 18:00",
        "agent_role": "Customer care",
        "topic": "Your new tent poles, and an apology",
        "reply": "Thank you for talking it through with me. Your tent came four days late, a pole was cracked, and we "
        "let your call drop. We had also promised you a tracking update and didn’t send it. I’m sorry. "
        "That is on us.\n\nThis is what we agreed:",
        "promise": "New poles at your door by 10:00 tomorrow",
        "was": "Your new poles at your door by 18:00 today",
        "promise_detail": "Friday 14 November, by courier from our Hamburg store. Nothing to sign; keep the old poles.",
        "goodwill": "a €25 credit",
    },
    "de": {
        "question": "Wie wahrscheinlich ist es, dass Sie Northwind Outdoor Freunden oder Kollegen weiterempfehlen?",
        "low_label": "Sehr unwahrscheinlich",
        "high_label": "Sehr wahrscheinlich",
        "occasion": "Ihren Anruf",
        "occurred_on": "Mittwoch, 12. November",
        "quarantine_days": "30",
        "reward": "5 € Gutschein",
        "conditions": "Für eine Bestellung ab 20 €. Ihr Zelt bringen wir unabhängig davon in Ordnung.",
        "valid_until": "13. Februar 2026",
        "received_on": "13. November",
        "deadline": "Montag, 17. November, 18:00",
        "agent_role": "Kundenbetreuung",
        "topic": "Ihre neuen Zeltstangen und eine Entschuldigung",
        "reply": "danke, dass Sie alles mit mir durchgegangen sind. Ihr Zelt kam vier Tage zu spät, eine Stange war "
        "gebrochen, und am Telefon haben wir Sie verloren. Das war unser Fehler, und es tut mir leid.\n\n"
        "Das haben wir vereinbart:",
        "promise": "Neue Stangen morgen bis 10:00 bei Ihnen",
        "was": "Neue Stangen heute bis 18:00 bei Ihnen",
        "promise_detail": "Freitag, 14. November, per Kurier aus unserem Hamburger Laden.",
        "goodwill": "ein Guthaben von 25 €",
    },
    "ar": {
        "name": "هنا",
        "question": "ما مدى احتمال أن توصي صديقًا أو زميلًا بمتجر Northwind Outdoor؟",
        "low_label": "غير محتمل إطلاقًا",
        "high_label": "محتمل جدًا",
        "occasion": "مكالمتك",
        "occurred_on": "الأربعاء ١٢ نوفمبر",
        "quarantine_days": "٣٠",
        "reward": "قسيمة بقيمة ٥ يورو",
        "conditions": "لطلب واحد تزيد قيمته على ٢٠ يورو. وإصلاح خيمتك أمر منفصل.",
        "valid_until": "١٣ فبراير ٢٠٢٦",
        "received_on": "١٣ نوفمبر",
        "deadline": "الاثنين ١٧ نوفمبر، ١٨:٠٠",
        "agent_role": "خدمة العملاء",
        "topic": "أعمدة خيمتك الجديدة واعتذار",
        "reply": "شكرًا لأنك شرحت لي كل شيء. وصلت خيمتك متأخرة أربعة أيام، وكان أحد الأعمدة مكسورًا، وانقطعت مكالمتك. "
        "هذا خطؤنا، وأنا آسفة.\n\nهذا ما اتفقنا عليه:",
        "promise": "أعمدة جديدة عند بابك قبل الساعة ١٠:٠٠ غدًا",
        "was": "أعمدة جديدة عند بابك قبل الساعة ١٨:٠٠ اليوم",
        "promise_detail": "الجمعة ١٤ نوفمبر، مع مندوب من متجرنا في هامبورغ.",
        "goodwill": "رصيد بقيمة ٢٥ يورو",
    },
}


def sample_values(kind: str, language: str, *, fully: bool = True) -> dict[str, str]:
    """Return values for one kind: with every optional part, or with `fully=False` only what each message must have."""
    known = KINDS[kind]
    all_values = {**_COMMON, **_WORDS["en"], **_WORDS.get(language, {})}
    if kind in ("case_opened", "complaint_acknowledged"):
        all_values |= _CALL_BACK.get(language, _CALL_BACK["en"])
    all_values["because"] = {"promise_changed": "third_party", "staff_changed": "password"}.get(kind, "goodwill")
    wanted = known.fields | known.choices.keys() | (known.optional if fully else frozenset())
    return {name: all_values[name] for name in sorted(wanted)}


def sample(kind: str, *, language: str, look: Look, fully: bool = True) -> Rendered:
    """Return the mail as a preview. Needs an application context."""
    values = sample_values(kind, language, fully=fully)
    return fill(compiled_for(kind, values, language=language, look=look), values)


def compiled_for(kind: str, values: dict[str, str], *, language: str, look: Look) -> CompiledTemplate:
    known = KINDS[kind]
    parts = parts_of(known, values)
    return compile(kind, version=known.version, language=language, look=look, parts=parts)
