"""What fills the slots of a record: products and prices, places, people, dates, numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

T = TypeVar("T")


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of the items. Only ``rng.random()`` is the same in every Python version."""
    return items[int(rng.random() * len(items))]


def between(rng: Random, low: int, high: int) -> int:
    """A whole number from low to high."""
    return low + int(rng.random() * (high - low + 1))


POWERED_EN = (
    ("coffee grinder", 35, 140), ("desk lamp", 20, 90), ("electric kettle", 25, 80),
    ("bluetooth speaker", 25, 160), ("air fryer", 60, 190), ("rice cooker", 35, 150),
    ("robot vacuum", 150, 520), ("baby monitor", 50, 180), ("mechanical keyboard", 60, 190),
    ("espresso machine", 150, 690), ("smart watch", 90, 420), ("pair of headphones", 30, 320),
    ("bathroom scale", 18, 70), ("electric toothbrush", 30, 160), ("space heater", 40, 130),
)  # fmt: skip
PRODUCTS_EN = (
    *POWERED_EN,
    ("yoga mat", 15, 60), ("phone case", 9, 35), ("winter jacket", 60, 240),
    ("pair of hiking boots", 70, 210), ("office chair", 90, 380), ("bike helmet", 30, 120),
    ("bread knife", 12, 65), ("folding table", 60, 240), ("water filter jug", 18, 55),
    ("sleeping bag", 45, 260), ("garden hose", 20, 75), ("wool blanket", 35, 130),
    ("toddler car seat", 90, 330), ("suitcase", 55, 280), ("cast iron pan", 28, 140),
    ("bird feeder", 12, 48), ("camping stove", 25, 110), ("leather backpack", 60, 260),
)  # fmt: skip
POWERED_ZH = (
    ("咖啡机", 299, 3200), ("台灯", 59, 399), ("电热水壶", 79, 359), ("蓝牙音箱", 99, 899),
    ("空气炸锅", 199, 799), ("电饭煲", 159, 999), ("扫地机器人", 799, 3999), ("加湿器", 89, 499),
    ("婴儿监护器", 199, 799), ("机械键盘", 129, 799), ("智能手表", 299, 2499), ("吹风机", 89, 999),
    ("蓝牙耳机", 99, 1299), ("体重秤", 49, 259), ("电动牙刷", 99, 699),
)  # fmt: skip
PRODUCTS_ZH = (
    *POWERED_ZH,
    ("瑜伽垫", 49, 260), ("手机壳", 15, 99), ("羽绒服", 299, 1899), ("登山鞋", 259, 999),
    ("电脑椅", 299, 1599), ("行李箱", 199, 999), ("羊毛毯", 149, 599), ("保温杯", 59, 329),
    ("儿童安全座椅", 399, 2199), ("不粘锅", 89, 459), ("双肩包", 129, 699), ("折叠桌", 99, 499),
)  # fmt: skip
NAMES_EN = (
    "Hannah Ward", "Tom Okafor", "Priya Nair", "J. Lindqvist", "Marta Kowalska", "Dave",
    "Ellen M.", "Rashid Khan", "Sofia Rossi", "Ben Carter", "Aoife Byrne", "Luis Ortega",
    "K. Tanaka", "Grace Mbeki", "Peter Novak", "Chloe Dubois", "S. Haddad", "Mike",
    "Ingrid Solberg", "Oliver Grant", "Fatima Zahra", "Walter Huber", "Nina P.", "Joan Fletcher",
)  # fmt: skip
NAMES_ZH = (
    "王女士", "李先生", "张伟", "陈静", "刘洋", "赵小姐", "周敏", "黄先生", "吴磊", "徐女士",
    "孙晓", "马先生", "朱丽", "胡军", "郭女士", "林涛", "何阿姨", "高先生", "罗丹", "梁老师",
)  # fmt: skip
EN: dict[str, tuple[str, ...]] = {
    "colour": ("dark green", "navy", "grey", "white", "mustard", "black", "terracotta", "beige"),
    "accessory": ("carry strap", "spare lid", "charging cable", "wall mount", "travel pouch"),
    "courier": ("DHL", "UPS", "FedEx", "DPD", "GLS", "Royal Mail"),
    "city": (
        "Leeds", "Portland", "Dublin", "Austin", "Rotterdam", "Bristol", "Toronto", "Malmö",
        "Cork", "Denver", "Perth", "Ghent", "Glasgow", "Boston",
    ),
    "agent": ("Maria", "Kevin", "Aisha", "Tobias", "Lucy", "Samir", "Ewa", "Jordan"),
    "plan": ("Premium", "Family", "Plus", "Basic", "Pro", "Care+"),
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    "month": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December",
    ),
    "nth": ("second", "third", "fourth", "fifth"),
    "company": ("Hartwell & Sons", "Blue Pine Stays", "Northgate Trading", "Casa Lumen"),
}  # fmt: skip
ZH: dict[str, tuple[str, ...]] = {
    "colour": ("白色", "黑色", "墨绿色", "米色", "藏青色", "浅灰色", "粉色"),
    "accessory": ("充电线", "收纳袋", "备用盖子", "支架", "替换头"),
    "courier": ("顺丰", "圆通", "中通", "韵达", "京东快递", "邮政"),
    "city": (
        "杭州",
        "成都",
        "深圳",
        "西安",
        "武汉",
        "苏州",
        "青岛",
        "长沙",
        "昆明",
        "沈阳",
        "厦门",
    ),
    "agent": ("小林", "小周", "阿杰", "小雨", "晓彤", "小何"),
    "plan": ("白金会员", "家庭套餐", "超级会员", "基础套餐", "延保服务"),
    "weekday": ("周一", "周二", "周三", "周四", "周五", "周六"),
    "month": tuple(f"{month}月" for month in range(1, 13)),
    "nth": ("二", "三", "四"),
    "company": ("云栖酒店", "海风民宿", "恒达贸易"),
}


def fill_english(rng: Random, powered: bool) -> dict[str, str]:
    """The slots of one English record."""
    name, low, high = pick(rng, POWERED_EN if powered else PRODUCTS_EN)
    price, other = _prices(rng, low, high)
    currency = pick(rng, ("${}", "£{}", "€{}", "{} EUR", "{} dollars"))
    slots = {slot: pick(rng, values) for slot, values in EN.items()}
    day = between(rng, 1, 28)
    forms = (f"{day} {slots['month']}", f"{slots['month']} {day}", f"{slots['month'][:3]} {day}")
    return {
        **slots,
        **_numbers(rng),
        "product": name,
        "name": pick(rng, NAMES_EN),
        "amount": currency.format(price),
        "amount2": currency.format(other),
        "date": pick(rng, forms),
        "date2": f"{pick(rng, EN['month'])} {between(rng, 1, 28)}",
        "order": pick(rng, ("#{}", "{}", "no. {}", "A-{}")).format(between(rng, 104_000, 987_999)),
    }


def fill_chinese(rng: Random, powered: bool) -> dict[str, str]:
    """The slots of one Chinese record."""
    name, low, high = pick(rng, POWERED_ZH if powered else PRODUCTS_ZH)
    price, other = _prices(rng, low, high)
    currency = pick(rng, ("{}元", "{}块", "¥{}", "{}元"))
    slots = {slot: pick(rng, values) for slot, values in ZH.items()}
    day = between(rng, 1, 28)
    forms = (f"{slots['month']}{day}号", f"{slots['month']}{day}日", f"{day}号")
    return {
        **slots,
        **_numbers(rng),
        "product": name,
        "name": pick(rng, NAMES_ZH),
        "amount": currency.format(price.removesuffix(".00")),
        "amount2": currency.format(other.removesuffix(".00")),
        "date": pick(rng, forms),
        "date2": f"{pick(rng, ZH['month'])}{between(rng, 1, 28)}号",
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
