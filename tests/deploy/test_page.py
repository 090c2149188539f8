#!/usr/bin/env python3
"""src/cli/page.html, the status page: loads nothing, its colours can be told from one another, and the README names what
the JSON has. How a browser shows it: tests/kafka/test_status.py."""

import re

from support import main, read

TEXTS = ("text", "quiet", "ok", "busy", "late", "bad", "blue")
GROUNDS = ("page", "card")
ENOUGH = 4.5  # WCAG 2.2, 1.4.3
ENOUGH_FOR_SHAPES = 3  # 1.4.11


def palettes():
    """[{name: (red, green, blue)}]: light, dark."""
    found = []
    for block in re.findall(r":root \{(.*?)\}", read("src", "cli", "page.html"), re.S):
        colours = {}
        for name, digits in re.findall(r"--(\w+): #([0-9a-f]{3,6})\b", block):
            digits = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
            colours[name] = tuple(int(digits[i:i + 2], 16) for i in (0, 2, 4))
        found.append(colours)
    assert len(found) == 2 and set(found[0]) == set(found[1]), "light and dark have other colours"
    return found


def luminance(colour):
    parts = [c / 255 for c in colour]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def texts_can_be_read_in_light_and_dark():
    assert round(contrast((0, 0, 0), (255, 255, 255))) == 21
    for colours in palettes():
        for text in TEXTS:
            for ground in GROUNDS:
                assert contrast(colours[text], colours[ground]) >= ENOUGH, (text, ground)
        assert contrast(colours["page"], colours["bad"]) >= ENOUGH, "the notice that the page is old"


def bars_can_be_seen_in_light_and_dark():
    for colours in palettes():
        for shape in ("blue", "active", "suspended", "suppressed"):
            assert contrast(colours[shape], colours["card"]) >= ENOUGH_FOR_SHAPES, shape


def it_loads_nothing():
    text = read("src", "cli", "page.html")
    urls = re.findall(r"""(?:href|src|srcset|action|xlink:href)=["']([^"']*)""", text) + re.findall(r"url\(([^)]*)", text)
    assert [url for url in urls if not url.startswith("data:")] == ["api/v1/status", "metrics", "readyz", "livez"], urls
    assert "@import" not in text


def the_readme_names_what_the_json_has():
    """Members of the top and of a role, as the source makes them."""
    source = read("src", "cli", "observe_status.c")
    readme = read("README.md")
    whole = re.search(r"json_t \*whole = json_pack\((.*?)\);\n", source, re.S)[1]
    members = set(re.findall(r'"(\w+)"', whole)) | {"dead_letters"}
    assert len(members) > 15, members
    for member in members:
        assert f"`{member}`" in readme, member


if __name__ == "__main__":
    main(texts_can_be_read_in_light_and_dark, bars_can_be_seen_in_light_and_dark, it_loads_nothing,
         the_readme_names_what_the_json_has)
