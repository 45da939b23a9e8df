"""What Northwind's made-up customers write, by touchpoint, feeling and language."""

from __future__ import annotations

from typing import Final

Voices = dict[str, dict[str, tuple[str, ...]]]

UNHAPPY: Final[Voices] = {
    "call-centre": {
        "en": (
            "I was cut off after 24 minutes and nobody rang me back.",
            "Third call about the same order. I had to explain everything again.",
            "The agent was kind, but could not do anything without a supervisor.",
            "I was promised a call on Monday. It is Thursday.",
            "Four people, four different answers about the boot warranty.",
        ),
        "de": (
            "Nach 24 Minuten in der Leitung war plötzlich Schluss, und niemand rief zurück.",
            "Freundlich, aber niemand durfte etwas entscheiden.",
            "Ich musste mein Anliegen zum dritten Mal von vorn erklären.",
            "Ein Rückruf war für Montag versprochen. Heute ist Donnerstag.",
        ),
        "ar": ("انقطع الاتصال بعد عشرين دقيقة ولم يعاود أحد الاتصال بي.", "شرحت المشكلة ثلاث مرات لثلاثة أشخاص."),
    },
    "delivery": {
        "en": (
            "The tent came four days late with a cracked pole. We leave on Friday.",
            "Parcel left out in the rain. The down jacket is soaked through.",
            "Second missed delivery slot in one week.",
            "Left with the wrong neighbour, and the courier marked it as handed to me.",
            "Half of the order is missing and the tracking says delivered.",
        ),
        "de": (
            "Das Zelt kam vier Tage zu spät, und eine Stange war gebrochen.",
            "Das Paket stand im Regen vor der Tür, die Jacke ist durchnässt.",
            "Beim falschen Nachbarn abgegeben, ohne Karte im Briefkasten.",
            "Zum zweiten Mal kam niemand im zugesagten Zeitfenster.",
        ),
        "ar": ("وصلت الحقيبة ناقصة قطعة ولم يرد أحد على رسائلي.", "تأخر الطرد أسبوعًا كاملًا عن رحلتنا."),
    },
    "return": {
        "en": (
            "Third week without my refund. Each time someone tells me “tomorrow”.",
            "I paid for the return label although the shoe was faulty.",
            "You charged me twice for one order. My bank confirms both.",
            "The refund was 20 euros short and nobody can say why.",
        ),
        "de": (
            "Seit drei Wochen warte ich auf mein Geld. Immer heißt es „morgen“.",
            "Der Schuh war defekt, und den Rückversand sollte ich selbst zahlen.",
            "Die Erstattung war zu niedrig, und niemand kann mir sagen, warum.",
        ),
        "ar": ("أنتظر استرداد المبلغ منذ ثلاثة أسابيع.", "دفعت تكلفة الإرجاع رغم أن الحذاء معيب."),
    },
    "store": {
        "en": (
            "The boot fitting I had booked didn’t exist when I arrived.",
            "The website said two in stock. I drove forty minutes for nothing.",
            "One till open, twenty people waiting.",
        ),
        "de": (
            "Die gebuchte Schuhanpassung gab es nicht, als ich ankam.",
            "Online stand „auf Lager“, im Laden wusste niemand davon.",
        ),
        "ar": ("حجزت موعدًا لقياس الحذاء ولم يكن مسجلًا.",),
    },
    "web-shop": {
        "en": (
            "The app forgets my size every time, so I ordered the wrong one.",
            "The voucher was refused at the very last step, twice.",
            "I was logged out while paying and had to start again.",
        ),
        "de": (
            "Der Gutschein wurde im letzten Schritt abgelehnt, zweimal.",
            "Beim Bezahlen flog ich raus und musste von vorn anfangen.",
        ),
        "ar": ("رُفضت القسيمة في الخطوة الأخيرة مرتين.",),
    },
    "chat": {
        "en": ("The chat closed on me twice before anyone answered.", "A robot asked me the same question four times."),
        "de": ("Der Chat ging zweimal zu, bevor jemand antwortete.", "Ein Automat fragte mich viermal dasselbe."),
        "ar": ("أُغلقت المحادثة مرتين قبل أن يرد أحد.",),
    },
}

HAPPY: Final[Voices] = {
    "any": {
        "en": (
            "Rang once, solved in five minutes.",
            "The right size was there the next day. Thank you.",
            "Honest advice: they told me not to buy the more expensive one.",
            "Repaired my ten-year-old tent without a fuss.",
            "Quick, warm, and they rang back when they said they would.",
        ),
        "de": (
            "Ein Anruf, fünf Minuten, erledigt.",
            "Ehrliche Beratung: Man riet mir vom teureren Modell ab.",
            "Mein altes Zelt wurde ohne Wenn und Aber repariert.",
            "Schnell, freundlich, und der Rückruf kam wie versprochen.",
        ),
        "ar": ("خدمة سريعة ولطيفة.", "اتصلوا بي في الموعد الذي وعدوا به."),
    }
}

SO_SO: Final[Voices] = {
    "any": {
        "en": (
            "Nice staff, but a very long queue.",
            "Fine in the end. It took two e-mails.",
            "Good, if a little slow.",
        ),
        "de": ("Nettes Personal, aber lange Wartezeit.", "Am Ende gut, aber erst nach zwei Mails."),
        "ar": ("جيد، لكن الانتظار طويل.",),
    }
}

MENDED: Final = {
    "en": (
        "I’d already looked at another shop. Then Priya rang, listened, and the right size was there the next day.",
        "Thank you for ringing so quickly, I didn’t expect that.",
        "The new poles came before we left. All forgiven.",
        "Somebody owned up to the mistake. That’s rare.",
    ),
    "de": (
        "Ich hatte schon woanders geschaut. Dann kam der Anruf, und am nächsten Tag war alles da.",
        "Dass jemand den Fehler zugibt, erlebt man selten. Danke.",
    ),
    "ar": ("شكرًا على الاتصال السريع، لم أتوقع ذلك.",),
}

NOTES: Final = (
    "Only the missing part matters to her, not the refund. Calm, and tired of repeating it.",
    "Warehouse confirms one piece left; set aside under the order number.",
    "Carrier admits the wrong address. Claim filed.",
    "Prefers to be rung after 17:00.",
    "Refund was stuck in approval since last week, released today.",
)
REPLIES: Final = {
    "en": "You’re right, we should have told you. The replacement left our store today and arrives tomorrow.",
    "de": "Sie haben recht, wir hätten Bescheid geben müssen. Der Ersatz ist unterwegs und morgen bei Ihnen.",
    "ar": "معك حق، كان علينا إبلاغك. غادرت القطعة البديلة متجرنا اليوم وتصل غدًا قبل الظهر.",
}
PROMISES: Final = (
    ("Send the replacement by courier", 26),
    ("Refund the return label", 30),
    ("Ring once the parcel has arrived", 22),
    ("Refund the difference", 28),
)
SUMMARIES: Final = {
    "call-centre": "Cut off on the phone, not rung back",
    "delivery": "Late or damaged delivery",
    "return": "Refund outstanding",
    "store": "Booked service not there",
    "web-shop": "Trouble at checkout",
    "chat": "Chat ended without an answer",
}
ROOT_CAUSES: Final = (
    ("delivery", "Delivery", None),
    ("courier-damage", "Courier damage", "delivery"),
    ("courier-late", "Courier late", "delivery"),
    ("wrong-neighbour", "Left with the wrong neighbour", "delivery"),
    ("service", "Service", None),
    ("call-dropped", "Call dropped", "service"),
    ("no-call-back", "Call back forgotten", "service"),
    ("no-authority", "Agent was not allowed to decide", "service"),
    ("money", "Money", None),
    ("refund-stuck", "Refund stuck in approval", "money"),
    ("charged-twice", "Charged twice", "money"),
    ("shop", "Shop and website", None),
    ("stock-wrong", "Stock shown wrongly", "shop"),
    ("checkout-fault", "Fault at checkout", "shop"),
)
CAUSE_OF: Final = {
    "call-centre": ("call-dropped", "no-call-back", "no-authority"),
    "delivery": ("courier-damage", "courier-late", "wrong-neighbour"),
    "return": ("refund-stuck", "charged-twice"),
    "store": ("stock-wrong",),
    "web-shop": ("checkout-fault", "stock-wrong"),
    "chat": ("no-authority", "no-call-back"),
}
