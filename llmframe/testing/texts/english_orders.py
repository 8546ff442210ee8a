"""What English-speaking customers write about orders: refunds and deliveries."""

from __future__ import annotations

from llmframe.testing.texts.scenes import Scene

REFUND = (
    Scene(
        "refund",
        (
            "The {product} I ordered on {date} arrived with a big crack down one side.",
            "I opened the box today and the {product} is broken.",
            "my {product} came smashed, the box looked like somebody stood on it",
            "The {product} from order {order} was damaged when it got here.",
        ),
        (
            "I have photos of the damage and of the box if you need them.",
            "The packaging was a single layer of bubble wrap, no wonder.",
            "I paid {amount} for it.",
            "I do not want a replacement, the same thing would only happen again.",
        ),
        (
            "Please refund the {amount} to the card I paid with.",
            "I would like my money back.",
            "How do I send it back and get a refund?",
        ),
        "Wants a refund of {amount}: {product} arrived broken.",
    ),
    Scene(
        "refund",
        (
            "I sent the {product} back on {date} and the refund still hasn't shown up.",
            "Your warehouse signed for my return of the {product} {days} days ago, but no refund.",
            "Returned order {order} weeks ago and I am still waiting for my {amount}.",
        ),
        (
            "The return tracking says it was received and signed for.",
            "My bank says nothing is pending from you.",
            "The email said 5 to 7 working days, it has been {weeks} weeks.",
            "I kept the drop-off receipt, I can send you a scan.",
        ),
        (
            "Can you tell me when the {amount} will be paid back?",
            "Please check what happened to my refund.",
            "Where is my money?",
        ),
        "Returned the {product}; refund of {amount} has not arrived.",
    ),
    Scene(
        "refund",
        (
            "The {product} looks nothing like the pictures on your site.",
            "I ordered the {product} in {colour} and what came is a completely different shade.",
            "The {product} is much smaller than described, honestly it's a toy.",
            "Not happy with the {product}. The listing promised something else.",
        ),
        (
            "It is still in the original packaging and unused.",
            "The description says one thing, the label on the box says another.",
            "For {amount} I expected better quality.",
            "My partner thought I had bought it at a flea market.",
        ),
        (
            "I'd like to return it for a full refund.",
            "Can I send it back and get the {amount} refunded?",
            "Please let me know how to return it, I want the money and not a voucher.",
        ),
        "Wants to return the {product} for a refund: not as described.",
    ),
    Scene(
        "refund",
        (
            "The {product} stopped working after {days} days.",
            "Bought the {product} on {date}, and since {weekday} it won't switch on at all.",
            "{weeks} weeks in and the {product} has given up, I've tried everything in the manual",
        ),
        (
            "I already tried a different socket and a reset.",
            "Your help page only tells me to read the manual.",
            "It makes a faint buzzing noise and nothing else.",
            "A friend has the same one and hers broke too.",
        ),
        (
            "I don't want a repair, I want a refund.",
            "Please refund {amount}, order {order}.",
            "Can I get my money back under the guarantee?",
        ),
        "The {product} stopped working; wants {amount} back.",
        powered=True,
    ),
    Scene(
        "refund",
        (
            "I cancelled order {order} an hour after placing it, you confirmed it and still kept"
            " the money.",
            "My cancellation of the {product} was confirmed on {date} but {amount} has not been"
            " returned.",
            "I ordered the {product} twice by mistake and would like to give one back.",
            "The {product} was a gift and it turns out she already has one.",
        ),
        (
            "I have not opened it.",
            "The order number is {order}.",
            "{agent} on the phone told me it would be no problem.",
        ),
        (
            "Could you refund the {amount}?",
            "Please send me a return label and refund the {amount}.",
            "What do I have to do to get the {amount} back?",
        ),
        "Cancelled or unneeded {product}; asks for {amount} back.",
    ),
)

DELIVERY = (
    Scene(
        "delivery",
        (
            "My parcel {order} was meant to arrive on {date} and the tracking has not moved since.",
            'Tracking for {order} has been stuck on "in transit" for {days} days.',
            "where is my {product}?? ordered it on {date}, still nothing",
            "I am still waiting for the {product}, it was promised within {days} days.",
        ),
        (
            "{courier} tells me to ask you, and you tell me to ask {courier}.",
            "The last scan was in {city}.",
            "I paid extra for express shipping.",
            "The estimated date on your site changes every morning.",
        ),
        (
            "Can you find out where it is?",
            "When will it get here?",
            "Could you please chase it up with {courier}?",
        ),
        "Parcel with the {product} is late; asks where it is.",
    ),
    Scene(
        "delivery",
        (
            "{courier} says my parcel was delivered on {weekday}, but there is nothing here.",
            "Order {order} is marked as delivered and I never received it.",
            "The app says the {product} was handed to a resident. I live alone.",
        ),
        (
            "I asked all the neighbours and nobody has it.",
            "The photo in the tracking shows a door that is not mine.",
            "I was at home all day and the bell never rang.",
            "Our doorman keeps a list and it isn't on it.",
        ),
        (
            "Please look into it with the courier.",
            "Can you ask the driver where he left it?",
            "What happens now, do you send it again?",
        ),
        "Marked as delivered but not received: order {order}.",
    ),
    Scene(
        "delivery",
        (
            "I've just noticed that order {order} is going to my old address in {city}.",
            "I moved to {city} last month and forgot to change the address for order {order}.",
            "The street number on my order {order} is wrong, it should be {number} and not"
            " {number2}.",
        ),
        (
            "The website does not let me edit it any more.",
            "It hasn't been shipped yet according to the order page.",
            "Someone else lives there now.",
        ),
        (
            "Can you change the delivery address before it goes out?",
            "Is it possible to redirect the parcel?",
            "Please update it, I'll send the new address right away.",
        ),
        "Asks to change the delivery address of order {order}.",
        cues={
            "low": (
                "It's a pre-order for {month}, so there's no rush.",
                "No hurry, it ships late.",
            ),
            "mid": ("It should go out in the next few days.", "It's planned for next week."),
            "high": (
                "It goes out TODAY, please do it right now.",
                "The van is being loaded this afternoon, so this is really urgent!",
            ),
        },
    ),
    Scene(
        "delivery",
        (
            "One of the two boxes of order {order} is missing.",
            "The parcel came today but the {product} was not in it.",
            "I got the {accessory} but not the {product}, and the slip says both were packed.",
        ),
        (
            "The packing slip says 2 of 2.",
            "The box had been taped up again, so maybe it was opened on the way.",
            "The rest of the order is fine.",
        ),
        (
            "Is the rest coming separately?",
            "Please send the missing part.",
            "Can you check with the warehouse whether it was ever packed?",
        ),
        "Part of order {order} is missing: the {product}.",
    ),
    Scene(
        "delivery",
        (
            "The {courier} driver did not even ring, just left a card saying I was out.",
            "That is the {nth} failed delivery attempt for {order} and I was in every time.",
            "{courier} claims nobody was home on {weekday}. Three of us were.",
        ),
        (
            "The depot is {number} km away and I don't drive.",
            "I work from home and my desk is by the front door.",
            "The delivery note clearly says: leave with neighbour at number {number}.",
            "Their phone line just plays music and hangs up.",
        ),
        (
            "Please arrange another delivery.",
            "Can it be dropped at the parcel shop on my street instead?",
            "Could you sort it out with {courier}?",
        ),
        "Failed delivery attempt by {courier}; wants another one.",
    ),
    Scene(
        "delivery",
        (
            "The {courier} driver left the {product} out in the rain next to the bins.",
            "My parcel {order} was thrown over the fence, I've got it on the door camera.",
            "The {courier} man left my {product} in the stairwell for everyone to take.",
        ),
        (
            "Luckily nothing is broken.",
            "The delivery note clearly says: leave with the neighbour at number {number}.",
            "It's the {nth} time with this driver.",
        ),
        (
            "Please tell {courier} to use the parcel shop next time.",
            "Can you pass this on to the courier?",
            "I have another parcel coming, so please make sure it's handed over properly.",
        ),
        "Complains how {courier} left the parcel.",
    ),
    Scene(
        "delivery",
        (
            "My parcel is being held at customs and {courier} wants a form I've never heard of.",
            "Order {order} has been at customs in {city} for {days} days.",
            "{courier} asks for a commercial invoice before they let my {product} through customs.",
        ),
        (
            "The letter is three pages long and I understand none of it.",
            "Your site says duties are included.",
            "They charge storage for every day, it says.",
        ),
        (
            "Can you send them what they need?",
            "Could you sort it out with {courier}?",
            "What do I have to do so that it gets here?",
        ),
        "Parcel is held at customs; asks for help.",
    ),
    Scene(
        "delivery",
        (
            "When do you expect to ship the {product}? The page said {date}.",
            "Is there a delivery date yet for my pre-order {order}?",
            "How long does shipping to {city} take at the moment? I've ordered the {product}.",
        ),
        (
            "I'd just like to plan when to be at home.",
            "The confirmation gives no date at all.",
        ),
        (
            "A rough idea is enough.",
            "Can I choose the day?",
        ),
        "Asks for the delivery date of the {product}.",
        levels=("low", "mid"),
    ),
)
