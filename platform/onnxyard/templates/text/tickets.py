"""Support tickets out of a small grammar, seeded: a stand-in for texts of your own. Nothing is downloaded.

Each ticket says one thing in one of several ways, between phrases that any ticket may hold. Typing errors, and
sentences that fit two queues, keep it from being too easy.
"""

import random

GREETINGS = ["hi", "hello", "good morning", "dear team", "hey there", "to whom it may concern", ""]
CLOSINGS = ["thanks", "please help", "kind regards", "can someone call me", "what can I do?", "this is urgent!", ""]
ASIDES = [
    "I have been a customer for years.",
    "This is the second time I write.",
    "Your page about it did not help.",
    "I ordered the {thing} last week.",
    "My order number is {number}.",
    "Sorry for my English.",
    "",
    "",
]
THINGS = ["headphones", "coffee machine", "tablet", "running shoes", "camera", "keyboard", "backpack", "desk lamp"]
TICKETS = {
    "account": [
        "I cannot log in to my account",
        "the password reset mail never arrives",
        "please delete my profile and all my data",
        "how do I change the email address of my login?",
        "somebody else has signed in as me",
        "I am locked out after three wrong passwords",
    ],
    "billing": [
        "I was charged twice for the {thing}",
        "the invoice shows the wrong amount of {number} euros",
        "my credit card was declined but the money is gone",
        "where can I find the invoice for the {thing}?",
        "why is there a fee of {number} on my bill?",
        "the discount code was not applied at checkout",
    ],
    "delivery": [
        "my {thing} has not arrived yet",
        "the tracking page has not moved for {number} days",
        "the parcel was left at the wrong address",
        "can I change the delivery address of my order?",
        "the courier says that the {thing} was delivered, but it is not here",
        "when will the {thing} be shipped?",
    ],
    "returns": [
        "I want to send the {thing} back",
        "how long do I have to return the {thing}?",
        "I am still waiting for the refund of my {thing}",
        "the {thing} is the wrong size, can I exchange it?",
        "where do I get a return label for the {thing}?",
        "you got my parcel back {number} days ago and sent no refund",
    ],
    "technical": [
        "the {thing} does not switch on any more",
        "the app crashes when I open the {thing} settings",
        "the {thing} will not connect to bluetooth",
        "after the update the {thing} is very slow",
        "the {thing} shows error {number}",
        "the battery of the {thing} is empty after an hour",
    ],
}
UNCLEAR = {
    ("billing", "returns"): ["I have not got my money back for the {thing}", "please cancel it and pay me back"],
    ("delivery", "returns"): ["the {thing} came broken, the box was open", "I got a {thing} that I did not order"],
    ("account", "technical"): ["the app does not let me in any more", "the page says error {number} when I sign in"],
}
QUEUES = tuple(TICKETS)
SHARE_UNCLEAR, SHARE_TYPOS = 0.06, 0.03


def tickets(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts, and the queue that each belongs to."""
    rng = random.Random(seed)  # noqa: S311 - no secrets
    written = [_ticket(rng) for _ in range(count)]
    return [text for text, _ in written], [queue for _, queue in written]


def _ticket(rng: random.Random) -> tuple[str, str]:
    queue = rng.choice(QUEUES)
    pairs = [pair for pair in UNCLEAR if queue in pair]
    unclear = pairs and rng.random() < SHARE_UNCLEAR
    said = rng.choice(UNCLEAR[rng.choice(pairs)] if unclear else TICKETS[queue])
    parts = [rng.choice(GREETINGS), rng.choice(ASIDES), said, rng.choice(ASIDES), rng.choice(CLOSINGS)]
    text = " ".join(part for part in parts if part)
    text = text.format(thing=rng.choice(THINGS), number=rng.randrange(2, 900))
    return "".join(_typed(letter, rng) for letter in text), queue


def _typed(letter: str, rng: random.Random) -> str:
    """The letter, left out, doubled or replaced now and then."""
    if not letter.isalpha() or rng.random() > SHARE_TYPOS:
        return letter
    return rng.choice(["", letter * 2, rng.choice("abcdefghijklmnopqrstuvwxyz"), letter.swapcase()])
