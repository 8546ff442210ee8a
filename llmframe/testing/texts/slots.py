"""Fill the slots of a record: products and prices, places, people, dates, numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What may stand in the slots of one language's records.

    products: name, lowest and highest price, of the ``powered`` ones and of the ``others``.
    words: what may fill a slot, by the slot's name.
    """

    products: dict[str, Sequence[tuple[str, int, int]]]
    names: Sequence[str]
    words: dict[str, Sequence[str]]

    def goods(self, powered: bool) -> Sequence[tuple[str, int, int]]:
        """All products, or those with a plug or a battery."""
        with_plug = self.products["powered"]
        return with_plug if powered else [*with_plug, *self.products["others"]]


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of the items. Only ``rng.random()`` is the same in every Python version."""
    return items[int(rng.random() * len(items))]


def between(rng: Random, low: int, high: int) -> int:
    """A whole number from low to high."""
    return low + int(rng.random() * (high - low + 1))


def fill_english(rng: Random, vocabulary: Vocabulary, powered: bool) -> dict[str, str]:
    """The slots of one English record."""
    name, low, high = pick(rng, vocabulary.goods(powered))
    price, other = _prices(rng, low, high)
    currency = pick(rng, ("${}", "£{}", "€{}", "{} EUR", "{} dollars"))
    slots = {slot: pick(rng, values) for slot, values in vocabulary.words.items()}
    day = between(rng, 1, 28)
    forms = (f"{day} {slots['month']}", f"{slots['month']} {day}", f"{slots['month'][:3]} {day}")
    return {
        **slots,
        **_numbers(rng),
        "product": name,
        "name": pick(rng, vocabulary.names),
        "amount": currency.format(price),
        "amount2": currency.format(other),
        "date": pick(rng, forms),
        "date2": f"{pick(rng, vocabulary.words['month'])} {between(rng, 1, 28)}",
        "order": pick(rng, ("#{}", "{}", "no. {}", "A-{}")).format(between(rng, 104_000, 987_999)),
    }


def fill_chinese(rng: Random, vocabulary: Vocabulary, powered: bool) -> dict[str, str]:
    """The slots of one Chinese record."""
    name, low, high = pick(rng, vocabulary.goods(powered))
    price, other = _prices(rng, low, high)
    currency = pick(rng, ("{}元", "{}块", "¥{}", "{}元"))
    slots = {slot: pick(rng, values) for slot, values in vocabulary.words.items()}
    day = between(rng, 1, 28)
    forms = (f"{slots['month']}{day}号", f"{slots['month']}{day}日", f"{day}号")
    return {
        **slots,
        **_numbers(rng),
        "product": name,
        "name": pick(rng, vocabulary.names),
        "amount": currency.format(price.removesuffix(".00")),
        "amount2": currency.format(other.removesuffix(".00")),
        "date": pick(rng, forms),
        "date2": f"{pick(rng, vocabulary.words['month'])}{between(rng, 1, 28)}号",
        "order": f"{between(rng, 20_260_101, 20_261_228)}{between(rng, 1000, 9999)}",
    }


def _prices(rng: Random, low: int, high: int) -> tuple[str, str]:
    """A price, and a higher one."""
    price = between(rng, low, high) - pick(rng, (0, 1, 5, 10)) / 100
    return f"{price:.2f}", f"{price + between(rng, 3, 30):.2f}"


def _numbers(rng: Random) -> dict[str, str]:
    number = between(rng, 11, 58)
    return {
        "days": str(between(rng, 3, 9)),
        "weeks": str(between(rng, 2, 6)),
        "years": str(between(rng, 2, 12)),
        "number": str(number),
        "number2": str(between(rng, 6, 10)),
        "model": f"{pick(rng, ('KX', 'TR', 'HB', 'ZN'))}-{between(rng, 100, 989)}",
        "card": f"{between(rng, 0, 9999):04d}",
        "code": f"{pick(rng, ('SAVE', 'HELLO', 'VIP', 'TX', 'MK'))}{between(rng, 10, 95)}",
    }
