"""English: praise and other matters, urgency, greetings; all scenes in one Language."""

from __future__ import annotations

from llmframe.testing.texts.english_accounts import ACCOUNT, BILLING
from llmframe.testing.texts.english_orders import DELIVERY, REFUND
from llmframe.testing.texts.scenes import Language, Scene
from llmframe.testing.texts.typos import SLIPS_EN

PRAISE = (
    Scene(
        "praise",
        (
            "I just want to say thank you to {agent}, who helped me with my {product} on"
            " {weekday}.",
            "{agent} from your support team was wonderful.",
            "Please pass on my thanks to {agent}. Rarely had such a patient person on the phone!",
        ),
        (
            "Ten minutes and the whole thing was solved.",
            "I'm not good with computers and never felt stupid.",
            "{agent} even called back the next day to check that all was well.",
            "After what I've been through with other shops that was a relief.",
        ),
        ("Give that person a raise.", "Keep it up!", "No reply needed, just wanted you to know."),
        "Thanks {agent} of the support team.",
    ),
    Scene(
        "praise",
        (
            "Ordered the {product} on {weekday} evening and had it the next morning, amazing.",
            "Wow, that was fast. My {product} came two days early.",
            "Delivery to {city} in under a day, and the {courier} driver was so friendly.",
        ),
        (
            "And it was packed with real care.",
            "No plastic either, which I like.",
            "I wish everyone worked like this.",
        ),
        ("Thank you!", "Will order again.", "Five stars from me ⭐⭐⭐⭐⭐"),
        "Praises the fast delivery.",
    ),
    Scene(
        "praise",
        (
            "I've used the {product} every day for {weeks} weeks now and I love it.",
            "The {product} is even better than I expected.",
            "Best {product} I've ever owned, and I've had a few.",
            "Honestly didn't expect much for {amount} but the {product} is brilliant.",
        ),
        (
            "And the {colour} looks lovely.",
            "My sister has already ordered one too.",
            "You can tell that somebody thought about the details.",
            "Even my husband uses it, and that says a lot.",
        ),
        ("Great work.", "Thanks for a great product!", "Happy customer here."),
        "Loves the {product}.",
    ),
    Scene(
        "praise",
        (
            "You replaced my {product} without any fuss, thank you so much.",
            "Quick note to say the problem with order {order} is solved, brilliant service.",
            "I complained on {date} and have to say you handled it really well.",
            "Customer for {years} years and still impressed every time.",
        ),
        (
            "{agent} kept me posted the whole time.",
            "The new one works perfectly.",
            "I'd been ready for a long fight.",
        ),
        ("Just wanted to leave some good feedback.", "Much appreciated!", "Thanks to the team."),
        "Happy with how a problem was solved.",
    ),
)

OTHER = (
    Scene(
        "other",
        (
            "Does the {product} also come in {colour}?",
            "Is the {product} suitable for a {days} year old?",
            "Is the {product} in {colour} the same one as in the {month} catalogue?",
            "Will the {accessory} fit the {product} from {month}?",
        ),
        (
            "I couldn't find it in the description.",
            "The reviews contradict each other.",
            "I'd buy it as a present.",
        ),
        ("Thanks in advance.", "Could you let me know?", "A short answer is enough."),
        "Asks a question about the {product}.",
    ),
    Scene(
        "other",
        (
            "Quick question about the {product}: do I need an adapter for it abroad?",
            "Does the {product} come with a European plug?",
            "How loud is the {product}? I live in a small flat.",
            "What does the blinking red light on the {product} mean?",
        ),
        (
            "I couldn't find it in the description.",
            "The technical data on the page is a bit thin.",
            "I've had a similar one for {years} years.",
        ),
        ("Thanks in advance.", "Could you let me know?", "Happy about a short reply."),
        "Asks a technical question about the {product}.",
        powered=True,
    ),
    Scene(
        "other",
        (
            "When will the {product} be back in stock?",
            "What are the opening hours of your shop in {city}?",
            "Do you have a shop near {city} where I could look at the {product}?",
            "Can I see the {product} in your {city} showroom on a Sunday?",
        ),
        (
            'The website only says "coming soon".',
            "Nobody picks up the phone there.",
            "I'd rather see it before I buy.",
        ),
        ("Thanks!", "Please let me know.", "Many thanks for a short answer."),
        "Asks about stock or a shop in {city}.",
    ),
    Scene(
        "other",
        (
            "We run a small hotel in {city} and would like {number} pieces of the {product}.",
            "I'm a journalist and writing about online shops, who could I talk to?",
            "Are you looking for people in your warehouse in {city}?",
            "I make handmade bags and wonder whether you would sell them.",
        ),
        (
            "I found you at the fair in {month}.",
            "I'm attaching a short profile.",
            "We have worked with {company} before.",
        ),
        ("Who is the right contact?", "Whom should I write to?", "Could you pass this on?"),
        "Asks about business, press or a job.",
        cues={"high": ("My deadline is tomorrow at noon, so today would be ideal.",)},
    ),
    Scene(
        "other",
        (
            "A suggestion: it'd be great if the app had a dark mode.",
            "Have you thought about selling the {product} without the {accessory}?",
            "The menu on your website is hard to read for people with poor eyesight.",
            "It would help a lot if the size guide used centimetres as well.",
        ),
        (
            "Other shops have had that for years.",
            "I'm sure I am not the only one.",
            "Just an idea.",
        ),
        ("Maybe for the next version.", "Hope it helps.", "Thanks for reading."),
        "Suggests an improvement.",
        levels=("low",),
        cues={"low": ("Nothing urgent of course.", "No need to reply.", "Whenever you find time.")},
    ),
    Scene(
        "other",
        (
            "How do I clean the {product} without scratching it?",
            "I've lost the manual of the {product}, can I download it somewhere?",
            "What's the best way to store the {product} over the winter?",
            "Which side of the {product} goes up? The drawing doesn't say.",
        ),
        (
            "I bought it in {month}.",
            "The model number on the bottom is {model}.",
            "There's nothing about it in the FAQ.",
        ),
        ("Thank you.", "Grateful for any tip.", "Thanks for your help."),
        "Asks how to use the {product}.",
    ),
)

CUES: dict[str, dict[str, tuple[str, ...]]] = {
    "refund": {
        "low": (
            "There is no hurry.",
            "It's not urgent, I just don't want to forget about it.",
            "Whenever you get round to it is fine.",
        ),
        "mid": (
            "I'd like to have this settled by the end of next week.",
            "Please get back to me in the next few days.",
            "I hope we can sort this out this week.",
        ),
        "high": (
            "I need that money for my rent tomorrow, so please do it today.",
            "If I don't hear from you today I'll open a dispute with my bank.",
            "This is my {nth} message and I expect an answer TODAY.",
            "My lawyer will write to you if it isn't paid by tonight.",
        ),
    },
    "delivery": {
        "low": (
            "I'm in no hurry, just curious.",
            "It's not urgent.",
            "No rush, I'm away until {month} anyway.",
        ),
        "mid": (
            "It would be good to have it this week.",
            "I'd like to know in the next couple of days.",
            "Please get back to me this week.",
        ),
        "high": (
            "It's for my daughter's birthday tomorrow!",
            "I leave the country tomorrow morning, so I need an answer right now.",
            "We can't open the shop tomorrow without it, this is urgent.",
            "I need it today, call me immediately please.",
        ),
    },
    "billing": {
        "low": (
            "Not urgent, I'm only going through my papers.",
            "Take your time.",
            "It can wait until you have a quiet moment.",
        ),
        "mid": (
            "I'd be glad if this was cleared up before the next bill.",
            "Please get back to me within a few days.",
            "Could you deal with it this week?",
        ),
        "high": (
            "My account is overdrawn because of it and the bank charges me every day, act now.",
            "The next payment goes out tonight, stop it immediately.",
            "This is urgent: my card is blocked and I'm travelling.",
        ),
    },
    "account": {
        "low": (
            "It's not pressing.",
            "Whenever it suits you.",
            "No hurry at all.",
        ),
        "mid": (
            "I'd like to order again at the weekend.",
            "It would be great to have it sorted in the next few days.",
            "Please look at it this week.",
        ),
        "high": (
            "My tickets for tonight are in there, I need to get in NOW.",
            "I have to get at my invoices within the hour.",
            "This is urgent, I can't work until it's solved.",
        ),
    },
    "praise": {"low": ("",)},
    "other": {
        "low": (
            "No hurry.",
            "Whenever you have a minute.",
            "It's not important, I'm just wondering.",
        ),
        "mid": (
            "I'd like to decide this week.",
            "An answer in the next few days would be great.",
            "I plan to order at the weekend.",
        ),
        "high": (
            "I'm about to go into a meeting about it and need the answer within the hour.",
            "I need it for an event tomorrow morning, so please answer today.",
            "It's urgent, we have to order before {number2} o'clock tonight, please call me.",
        ),
    },
}

ENGLISH = Language(
    scenes=(*REFUND, *DELIVERY, *BILLING, *ACCOUNT, *PRAISE, *OTHER),
    cues=CUES,
    asides=(
        "I've been a customer for {years} years.",
        "Your chat bot was no help, by the way.",
        "Apart from that I like shopping with you.",
        "I wrote about this on {date2} already and got no answer.",
        "Sorry for the long message.",
        "I waited {number} minutes in the phone queue before writing this.",
        "English is not my first language, I hope it is clear.",
        "I've checked the FAQ and didn't find anything.",
        "I ordered from my {city} address, in case that matters.",
        "The shop in {city} told me to write to you.",
        "A colleague had the same thing in {month}.",
        "My order history should show all of it.",
        "You can reach me on the number in my account, best after {number2} in the morning.",
        "I have attached everything I have.",
    ),
    openings=("Hi,", "Hello,", "Dear team,", "Good morning,", "Hi there,", "Dear Sir or Madam,"),
    hellos=("Hi.", "Hello!", "Good morning.", "Hi there!", "Hey!", "Good evening."),
    closings=(
        "Best regards,\n{name}",
        "Thanks,\n{name}",
        "Kind regards\n{name}, {city}",
        "{name}",
        "Cheers, {name}",
        "Yours sincerely,\n{name}\nSent from my phone",
    ),
    topics={
        "refund": ("Refund", "Return of order {order}", "{product}"),
        "delivery": ("Order {order}", "Where is my parcel", "Delivery {order}"),
        "billing": ("Payment", "Question about my bill", "Invoice {order}"),
        "account": ("Login", "My account", "Customer account {name}"),
        "praise": ("Thank you", "Feedback", "Good service"),
        "other": ("Question", "Enquiry", "{product}"),
    },
    agent_lines=(
        "Hello, thanks for contacting us. How can I help?",
        "Hi, you're chatting with {agent}. What can I do for you?",
        "Good afternoon, {agent} here. Please describe your request.",
    ),
    speakers=("Customer: ", "Agent: "),
    form="Order number: {order}\nTopic: {topic}\nMessage: {body}",
    joint=" ",
    stop=".",
    slips=SLIPS_EN,
)
