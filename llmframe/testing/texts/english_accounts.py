"""What English-speaking customers write about bills and accounts."""

from __future__ import annotations

from llmframe.testing.texts.scenes import Scene

BILLING = (
    Scene(
        "billing",
        (
            "I was charged {amount} twice for order {order}.",
            "There are two identical payments of {amount} to you on my card statement.",
            "why did you take {amount} from my account two times on {date}??",
        ),
        (
            "The card ends in {card}.",
            "I only got one confirmation email.",
            "Both show as completed, not pending.",
            "I can send a screenshot of the statement.",
        ),
        (
            "Please check your records and correct it.",
            "Can someone explain the second charge?",
            "Please cancel the duplicate payment.",
        ),
        "Charged {amount} twice for one order.",
    ),
    Scene(
        "billing",
        (
            "There's a charge of {amount} from you on {date} that I don't recognise.",
            "My statement shows {amount} for something called {plan}. I never signed up for it.",
            "What is the {amount} on my {month} bill for?",
        ),
        (
            "My last order was in {month}, and a lot less.",
            "Nobody else in the house uses this card.",
            "The card in question ends in {card}.",
        ),
        (
            "Can you tell me what it was for?",
            "Please explain this item on my bill.",
            "I'd like an itemised statement.",
        ),
        "Does not recognise a charge of {amount}.",
    ),
    Scene(
        "billing",
        (
            "Please send me a proper VAT invoice for order {order}.",
            "I need an invoice made out to my company for the {product}, a receipt won't do.",
            "The invoice for {order} shows the wrong billing address.",
        ),
        (
            "Our accountant needs the tax number on it.",
            "The PDF in my account is an empty page.",
            "The amount on it is right, {amount}.",
        ),
        (
            "Could you email me the corrected invoice?",
            "Where can I download it?",
            "A PDF by email would be perfect.",
        ),
        "Needs an invoice for order {order}.",
        cues={
            "high": (
                "My tax return is due tomorrow and this is the last paper missing.",
                "Our books close tonight, so I need it today.",
            )
        },
    ),
    Scene(
        "billing",
        (
            "The site said {amount} for the {product} and I was billed {amount2}.",
            "My discount code {code} was accepted at checkout, but the full {amount2} was charged.",
            "The {plan} plan was advertised at {amount} a month and my bill says {amount2}.",
        ),
        (
            "I have a screenshot of the offer.",
            "Nothing in the cart mentioned extra fees.",
            "The newsletter said the code runs until {date}.",
        ),
        (
            "Please correct the bill.",
            "Why is it more?",
            "Can you adjust it to the price you advertise?",
        ),
        "Billed {amount2} instead of the advertised {amount}.",
    ),
    Scene(
        "billing",
        (
            "My payment for order {order} was declined, yet {amount} is blocked on my card.",
            "The payment page hung, and now the order says unpaid while my bank says {amount} went"
            " out.",
            "You renewed my {plan} plan on {date} without any notice and billed {amount}.",
        ),
        (
            "I tried twice with two browsers.",
            "The bank says it is with you.",
            "The settings page shows an error when I save.",
        ),
        (
            "Please look at the payment.",
            "How do I fix the payment on your side?",
            "Can you sort out the billing before the next invoice?",
        ),
        "Payment problem with {amount}, asks to have it fixed.",
    ),
    Scene(
        "billing",
        (
            "I want to pay for my {plan} subscription with another card, the old one ends in"
            " {card}.",
            "Can I switch my {plan} plan from monthly to yearly billing?",
            "My bank changed, please take the payments for {plan} from the new account from"
            " {month} on.",
        ),
        (
            "The settings page shows an error when I save.",
            "The next payment is due on {date2}.",
            "I don't want it to bounce like last time.",
        ),
        ("How do I do that?", "Please change it for me.", "Can you tell me what you need?"),
        "Wants to change how the {plan} plan is paid.",
        levels=("low", "mid"),
    ),
)

ACCOUNT = (
    Scene(
        "account",
        (
            "I can't log in any more, it says my password is wrong and the reset mail never comes.",
            "The password reset link is always expired when I click on it.",
            "cant get into my account since {weekday}, just get sent back to the login page",
            'Every login attempt ends in "something went wrong, code {number}".',
        ),
        (
            "I've looked in the spam folder as well.",
            "I tried Chrome, Firefox and the app.",
            "My user name is {name}{number}.",
            "It worked fine until the update on {date}.",
        ),
        (
            "Can you reset it for me?",
            "How do I get back in?",
            "Please unlock my account.",
        ),
        "Cannot log in; asks for help to get back in.",
    ),
    Scene(
        "account",
        (
            "I got an email about a login from {city}. That wasn't me.",
            "Somebody changed the email address on my account and I can't get in.",
            "I think my account has been hacked, there are addresses in it I've never seen.",
        ),
        (
            "My card ending in {card} is stored there.",
            "The password was changed on {date} at night.",
            "They have already put the {product} in the cart.",
        ),
        (
            "Please lock the account.",
            "Can you log out all devices?",
            "What should I do?",
        ),
        "Suspects that somebody else got into the account.",
        levels=("high",),
        cues={
            "high": (
                "This is happening right now, please act immediately!",
                "Please do it now, before they order with my card.",
                "I'm really worried, please call me back within the hour.",
            )
        },
    ),
    Scene(
        "account",
        (
            "I'd like to change the email address of my account.",
            "I got married and need to change my surname in my profile.",
            "My phone number changed and the codes go to the old one.",
            "I seem to have two accounts with you, one by email and one by phone number.",
        ),
        (
            "The field is greyed out in the settings.",
            "My customer number is {number}{card}.",
            "The old address belongs to a former employer.",
        ),
        (
            "Can you change it on your side?",
            "How can I do that?",
            "Could you merge or update them, please?",
        ),
        "Wants to change the personal data of the account.",
        levels=("low", "mid"),
    ),
    Scene(
        "account",
        (
            "Please delete my account and everything you store about me.",
            "I want to close my account, I no longer shop with you.",
            "How do I delete my profile? There's no button anywhere.",
        ),
        (
            "There are no open orders.",
            "Under the data protection rules you have a month for it, I believe.",
            "And please take my number {number}{card} out of your system.",
        ),
        (
            "Please confirm when it is done.",
            "Let me know if you need anything from me.",
        ),
        "Wants the account and its data deleted.",
        levels=("low", "mid"),
    ),
    Scene(
        "account",
        (
            "I lost my phone and with it the app for the two-step login.",
            "My account was suspended on {date} and nobody tells me why.",
            "It says my account is locked for security reasons after {days} attempts.",
        ),
        (
            "I have the backup email but no codes.",
            "I've been a customer for {years} years and never had a problem.",
            "{agent} in the chat promised to open it and then just left.",
        ),
        (
            "How can I prove that it's me?",
            "Please lift the lock.",
            "What do you need from me to open it again?",
        ),
        "Locked out of the account; asks to have it opened.",
        levels=("mid", "high"),
    ),
)
