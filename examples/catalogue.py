"""What the products backend starts with: products and what customers wrote about them.

Product 2 has more reviews and more relatives than a page shows, so that limits can be seen.
"""

from examples.backend import Record

VIEWS = ("front", "side", "detail")


def _product(
    number: int,
    name: str,
    category: str,
    price: str,
    stock: int,
    description: str,
    **specifications: str,
) -> Record:
    slug = name.lower().replace(" ", "-")
    listed = "; ".join(f"{key}: {value}" for key, value in specifications.items())
    return {
        "id": number,
        "sku": f"GH-{number:04}",
        "name": name,
        "category": category,
        "price": price,
        "currency": "EUR",
        "stock": stock,
        "description": description,
        "full_description": f"{description} {listed}. Sent within two working days; may be "
        "returned within thirty days, in its packaging.",
        "images": [
            {
                "thumbnail_url": f"https://images.example.com/{slug}-{view}-160.jpg",
                "full_url": f"https://images.example.com/{slug}-{view}-1600.jpg",
            }
            for view in VIEWS
        ],
        "specifications": specifications,
    }


def _review(number: int, product_id: int, stars: int, author: str, text: str, day: str) -> Record:
    return {
        "id": number,
        "product_id": product_id,
        "stars": stars,
        "author": author,
        "text": text,
        "created_at": f"{day}T10:00:00Z",
    }


PRODUCTS = [
    _product(
        *(1, "Oak desk lamp", "home", "129.00", 14),
        "A lamp of solid oak with warm light.",
        material="Oak",
        height="42 cm",
    ),
    _product(
        *(2, "Mechanical keyboard", "office", "249.00", 6),
        "A compact keyboard with quiet switches.",
        layout="ISO",
        keys="84",
    ),
    _product(
        *(3, "Pour-over coffee set", "kitchen", "48.90", 32),
        "A dripper and a carafe of heat-proof glass.",
        material="Glass",
        volume="0.6 l",
    ),
    _product(
        *(4, "Cast iron pan", "kitchen", "64.50", 21),
        "A pan that outlives its cook.",
        diameter="26 cm",
        weight="2.3 kg",
    ),
    _product(
        *(5, "Linen tea towels", "kitchen", "24.90", 80),
        "Three towels that leave no lint.",
        material="Linen",
        pieces="3",
    ),
    _product(
        *(6, "Monitor stand", "office", "79.00", 0),
        "Lifts a screen to the height of the eyes.",
        material="Steel",
        load="15 kg",
    ),
    _product(
        *(7, "Wool throw", "home", "99.00", 11),
        "A light throw for long evenings.",
        material="Merino",
        size="130 x 180 cm",
    ),
    _product(
        *(8, "Walnut pen tray", "office", "34.00", 40),
        "A tray for pens, clips and keys.",
        material="Walnut",
        length="28 cm",
    ),
    _product(
        *(9, "Felt desk mat", "office", "45.00", 25),
        "A soft base for keyboard and mouse.",
        material="Wool felt",
        size="80 x 40 cm",
    ),
    _product(
        *(10, "Dotted notebook", "office", "18.50", 120),
        "A notebook that stays open.",
        paper="90 g",
        pages="192",
    ),
    _product(
        *(11, "Brass ballpoint pen", "office", "39.00", 33),
        "A pen with weight in the hand.",
        material="Brass",
        refill="G2",
    ),
    _product(
        *(12, "Letter sorter", "office", "52.00", 9),
        "Three compartments for what came by post.",
        material="Birch",
        compartments="3",
    ),
    _product(
        *(13, "Cable box", "office", "27.50", 60),
        "Hides a socket strip and its cables.",
        material="Bamboo",
        length="40 cm",
    ),
    _product(
        *(14, "Desk shelf", "office", "119.00", 7),
        "A second floor for the desk.",
        material="Ash",
        length="100 cm",
    ),
    _product(
        *(15, "Foot rest", "office", "69.00", 18),
        "Tilts in three steps.",
        material="Beech",
        width="45 cm",
    ),
]
REVIEWS = [
    _review(1, 1, 5, "Mei T.", "Warm light, and it does not wobble.", "2025-01-12"),
    _review(2, 1, 4, "Daniel W.", "Lovely lamp; the cable could be longer.", "2025-02-03"),
    _review(3, 3, 5, "Amara O.", "My mornings are better now.", "2025-03-28"),
    _review(4, 4, 3, "Lukas B.", "Good pan, heavy.", "2025-04-16"),
    _review(5, 2, 5, "Priya R.", "Quiet enough for a shared room.", "2025-01-05"),
    _review(6, 2, 4, "Sofía H.", "Fine keys; it took a week to get used to.", "2025-01-19"),
    _review(7, 2, 5, "Daniel W.", "The best I ever typed on.", "2025-01-27"),
    _review(8, 2, 2, "Mei T.", "I miss the number block.", "2025-02-08"),
    _review(9, 2, 5, "Amara O.", "Small, solid, silent.", "2025-02-14"),
    _review(10, 2, 4, "Lukas B.", "Good; the cable is short.", "2025-02-22"),
    _review(11, 2, 3, "Jonas K.", "One key came loose and was replaced.", "2025-03-01"),
    _review(12, 2, 5, "Noor H.", "Bought a second one for home.", "2025-03-09"),
    _review(13, 2, 4, "Elif A.", "Nice feel, plain look.", "2025-03-20"),
    _review(14, 2, 5, "Tomás V.", "Worth its price.", "2025-04-02"),
    _review(15, 2, 1, "Grete L.", "It arrived with the wrong layout.", "2025-04-11"),
    _review(16, 2, 5, "Ines M.", "Exchanged quickly, and now perfect.", "2025-04-18"),
]
TASTES = {1: "kitchen", 2: "office", 3: "home", 5: "office"}
"""The category that a user buys most from."""
