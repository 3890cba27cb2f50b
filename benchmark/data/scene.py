"""Draws the ten kinds of waste of the synthetic data, and the floors that they lie on.

An object is drawn in a square of `CANVAS` pixels a side with a transparent ground, and scaled and
turned by whoever places it. Only integer coordinates and `random.Random` are used, so that one seed
draws the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

CANVAS = 96

Colour = tuple[int, int, int]
Draw = ImageDraw.ImageDraw


def draw_object(name: str, random: Random) -> Image.Image:
    """One object of a class of `CLASSES`: an RGBA image of `CANVAS` x `CANVAS` pixels."""
    image = Image.new("RGBA", (CANVAS, CANVAS))
    _DRAWERS[name](ImageDraw.Draw(image), random)
    return image


def draw_floor(size: tuple[int, int], random: Random) -> Image.Image:
    """A floor of ``size`` (width, height): one of several kinds, grained; an RGB image."""
    base = _shade(random.choice(_FLOOR_COLOURS), random, 18)
    image = Image.new("RGB", size, base)
    random.choice(_FLOORS)(ImageDraw.Draw(image), size, base, random)
    width, height = size
    grain = Image.frombytes("L", size, random.randbytes(width * height))
    grain = grain.filter(ImageFilter.BoxBlur(1)).point(lambda value: value // 5)
    return ImageChops.subtract(image, Image.merge("RGB", (grain, grain, grain)), offset=25)


def _shade(colour: Colour, random: Random, spread: int = 14) -> Colour:
    """The colour made lighter or darker by up to ``spread`` of 255."""
    change = random.randint(-spread, spread)
    red, green, blue = (max(0, min(255, channel + change)) for channel in colour)
    return red, green, blue


def _darker(colour: Colour, by: int = 40) -> Colour:
    red, green, blue = (max(0, channel - by) for channel in colour)
    return red, green, blue


def _banana_peel(draw: Draw, random: Random) -> None:
    yellow, brown = _shade((236, 200, 52), random), _shade((112, 78, 34), random)
    arms = [
        [(48, 30), (20, 34), (4, 66), (10, 72), (30, 52), (46, 48)],
        [(48, 30), (76, 34), (92, 66), (86, 72), (66, 52), (50, 48)],
        [(40, 36), (34, 62), (40, 92), (48, 92), (50, 62), (52, 36)],
        [(46, 34), (58, 58), (70, 88), (77, 84), (68, 56), (56, 32)],
    ]
    for arm in arms:
        draw.polygon(arm, fill=yellow, outline=_darker(yellow, 70))
    draw.polygon([(40, 44), (44, 8), (53, 8), (58, 44)], fill=yellow)
    draw.rectangle((43, 3, 54, 12), fill=brown)
    for x, y in [(7, 67), (87, 67), (43, 89), (72, 84)]:
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=brown)
    for _ in range(9):
        x, y = random.randint(43, 51), random.randint(14, 56)
        draw.ellipse((x, y, x + 3, y + 5), fill=brown)


def _paper(draw: Draw, random: Random) -> None:
    white, ink = _shade((246, 246, 240), random, 8), _shade((96, 100, 120), random)
    outline = [(14, 2), (66, 2), (83, 19), (83, 94), (14, 94)]
    draw.polygon(outline, fill=white, outline=(150, 150, 150))
    draw.polygon([(66, 2), (66, 19), (83, 19)], fill=(196, 196, 190), outline=(150, 150, 150))
    draw.rectangle((22, 10, 50, 16), fill=ink)
    for y in range(28, 90, 9):
        draw.line((22, y, random.randint(56, 76), y), fill=ink, width=3)


def _paper_pack(draw: Draw, random: Random) -> None:
    band = _shade(random.choice([(38, 98, 196), (30, 126, 200), (54, 78, 180)]), random)
    white, edge = (244, 246, 248), (110, 120, 140)
    draw.polygon([(24, 14), (72, 14), (82, 34), (14, 34)], fill=(214, 220, 230), outline=edge)
    draw.rectangle((24, 3, 72, 14), fill=white, outline=edge)
    draw.rectangle((14, 34, 62, 93), fill=white, outline=edge)
    draw.rectangle((62, 34, 82, 93), fill=(192, 200, 214), outline=edge)
    draw.rectangle((14, 68, 62, 93), fill=band)
    draw.rectangle((62, 68, 82, 93), fill=_darker(band))
    draw.ellipse((27, 44, 49, 64), fill=band)
    draw.polygon([(38, 36), (29, 50), (47, 50)], fill=band)


def _can(draw: Draw, random: Random) -> None:
    paint = _shade(random.choice([(200, 28, 36), (190, 36, 30), (214, 44, 40)]), random)
    silver, rim = (200, 204, 208), (120, 124, 130)
    draw.ellipse((22, 76, 74, 94), fill=silver, outline=rim)
    draw.polygon([(22, 12), (74, 12), (74, 85), (22, 85)], fill=silver)
    draw.rectangle((22, 24, 74, 78), fill=paint)
    draw.rectangle((30, 14, 36, 86), fill=(250, 236, 236))
    draw.rectangle((62, 14, 74, 85), fill=_darker(paint, 60))
    draw.polygon([(22, 58), (74, 40), (74, 50), (22, 68)], fill=(248, 248, 248))
    draw.ellipse((22, 2, 74, 22), fill=(226, 229, 232), outline=rim, width=2)
    draw.ellipse((40, 7, 58, 16), fill=silver, outline=rim, width=2)


def _glass_bottle(draw: Draw, random: Random) -> None:
    green = _shade(random.choice([(34, 110, 52), (22, 96, 44), (50, 120, 48)]), random)
    dark = _darker(green, 30)
    draw.rectangle((40, 2, 56, 40), fill=green)
    draw.polygon([(40, 28), (56, 28), (68, 48), (28, 48)], fill=green)
    draw.rounded_rectangle((28, 44, 68, 94), 5, fill=green)
    draw.rectangle((38, 2, 58, 9), fill=dark)
    draw.rectangle((60, 48, 68, 92), fill=dark)
    draw.rectangle((28, 58, 68, 82), fill=_shade((226, 206, 150), random))
    draw.ellipse((42, 63, 54, 77), fill=(160, 44, 44))
    draw.rectangle((32, 46, 36, 56), fill=(176, 222, 184))
    draw.rectangle((43, 12, 46, 34), fill=(176, 222, 184))


def _plastic_bottle(draw: Draw, random: Random) -> None:
    cap = _shade(random.choice([(240, 128, 24), (246, 146, 30)]), random)
    clear, rib = _shade((150, 208, 238), random), (78, 150, 200)
    draw.polygon([(40, 14), (56, 14), (72, 36), (24, 36)], fill=clear, outline=rib)
    draw.rounded_rectangle((24, 34, 72, 95), 8, fill=clear, outline=rib, width=2)
    draw.rectangle((38, 2, 58, 14), fill=cap)
    for y in range(42, 92, 8):
        draw.line((26, y, 70, y), fill=rib, width=2)
    draw.rectangle((30, 38, 35, 90), fill=(228, 246, 254))
    draw.rectangle((24, 54, 72, 70), fill=(250, 250, 250), outline=rib)
    draw.polygon([(48, 55), (42, 66), (54, 66)], fill=rib)


def _styrofoam_tray(draw: Draw, random: Random) -> None:
    white = _shade((236, 236, 232), random, 8)
    draw.rounded_rectangle((2, 20, 93, 76), 16, fill=white, outline=(130, 130, 130), width=2)
    draw.rounded_rectangle((15, 32, 80, 64), 9, fill=(206, 206, 204), outline=(166, 166, 166))
    for _ in range(90):
        x, y = random.randint(8, 85), random.randint(24, 70)
        draw.ellipse((x, y, x + 3, y + 3), outline=(176, 176, 180))
    draw.line((18, 34, 77, 34), fill=(140, 140, 140), width=3)


def _plastic_bag(draw: Draw, random: Random) -> None:
    pink = _shade(random.choice([(240, 128, 188), (226, 110, 196)]), random)
    fold = _darker(pink, 46)
    left = [(12, 4), (30, 4), (32, 30), (42, 40), (54, 40), (64, 30), (66, 4), (84, 4)]
    draw.polygon([*left, (90, 88), (74, 94), (50, 90), (24, 94), (6, 88)], fill=pink, outline=fold)
    for x in (22, 40, 58, 74):
        draw.line((x, 50, x + random.randint(-8, 8), 86), fill=fold, width=2)
    draw.ellipse((34, 52, 62, 80), fill=(252, 236, 246))
    draw.arc((41, 58, 55, 74), 20, 160, fill=fold, width=3)
    draw.ellipse((41, 60, 45, 64), fill=fold)
    draw.ellipse((51, 60, 55, 64), fill=fold)


def _battery(draw: Draw, random: Random) -> None:
    black, copper = _shade((32, 32, 38), random, 8), _shade((206, 124, 56), random)
    draw.rectangle((39, 2, 57, 12), fill=(196, 196, 200))
    draw.rounded_rectangle((26, 9, 70, 38), 4, fill=copper)
    draw.rounded_rectangle((26, 34, 70, 95), 4, fill=black)
    draw.rectangle((26, 34, 70, 38), fill=(236, 196, 120))
    draw.rectangle((33, 12, 38, 33), fill=(246, 190, 130))
    draw.rectangle((33, 40, 38, 92), fill=(96, 96, 106))
    draw.rectangle((44, 62, 62, 66), fill=(240, 240, 240))
    draw.rectangle((51, 55, 55, 73), fill=(240, 240, 240))


def _shirt(draw: Draw, random: Random) -> None:
    cloth = _shade(random.choice([(128, 62, 168), (108, 52, 150), (146, 70, 160)]), random)
    dark, stripe = _darker(cloth), (232, 214, 92)
    sleeves = [(2, 30), (26, 6), (36, 6), (48, 16), (60, 6), (70, 6), (94, 30), (80, 44), (72, 38)]
    draw.polygon([*sleeves, (72, 93), (24, 93), (24, 38), (16, 44)], fill=cloth, outline=dark)
    draw.rectangle((25, 50, 71, 58), fill=stripe)
    draw.rectangle((25, 68, 71, 76), fill=stripe)
    draw.line((24, 38, 28, 24), fill=dark, width=3)
    draw.line((72, 38, 68, 24), fill=dark, width=3)
    draw.arc((34, -6, 62, 18), 20, 160, fill=dark, width=4)


_DRAWERS: dict[str, Callable[[Draw, Random], None]] = {
    "General trash": _banana_peel,
    "Paper": _paper,
    "Paper pack": _paper_pack,
    "Metal": _can,
    "Glass": _glass_bottle,
    "Plastic": _plastic_bottle,
    "Styrofoam": _styrofoam_tray,
    "Plastic bag": _plastic_bag,
    "Battery": _battery,
    "Clothing": _shirt,
}

CLASSES = tuple(_DRAWERS)


def _tiles(draw: Draw, size: tuple[int, int], base: Colour, random: Random) -> None:
    step, width = random.randint(26, 48), random.randint(1, 2)
    for x in range(random.randint(0, step), size[0], step):
        draw.line((x, 0, x, size[1]), fill=_darker(base, 30), width=width)
    for y in range(random.randint(0, step), size[1], step):
        draw.line((0, y, size[0], y), fill=_darker(base, 30), width=width)


def _planks(draw: Draw, size: tuple[int, int], base: Colour, random: Random) -> None:
    step = random.randint(14, 28)
    for y in range(-random.randint(0, step), size[1], step):
        draw.rectangle((0, y, size[0], y + step), fill=_shade(base, random, 10))
        draw.line((0, y, size[0], y), fill=_darker(base, 34))
        x = random.randint(0, size[0])
        draw.line((x, y, x, y + step), fill=_darker(base, 34))


def _gravel(draw: Draw, size: tuple[int, int], base: Colour, random: Random) -> None:
    for _ in range(size[0] * size[1] // 60):
        x, y, r = random.randint(0, size[0]), random.randint(0, size[1]), random.randint(1, 3)
        draw.ellipse((x, y, x + r, y + r), fill=_shade(base, random, 30))


def _grass(draw: Draw, size: tuple[int, int], base: Colour, random: Random) -> None:
    for _ in range(size[0] * size[1] // 50):
        x, y = random.randint(0, size[0]), random.randint(0, size[1])
        tip = (x + random.randint(-4, 4), y - random.randint(3, 8))
        draw.line((x, y, *tip), fill=_shade(base, random, 30))


_FLOORS = (_tiles, _planks, _gravel, _grass)
_FLOOR_COLOURS: tuple[Colour, ...] = (
    (168, 162, 152),
    (134, 130, 128),
    (160, 134, 104),
    (128, 104, 84),
    (116, 132, 100),
    (148, 154, 160),
)
