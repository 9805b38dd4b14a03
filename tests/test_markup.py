"""Cards of objects: whole, escaped, and with a style that reaches nothing outside them."""

from __future__ import annotations

from types import SimpleNamespace

from read_html import Reader, card

from tumorkeras import markup

EVIL = '<b-class onload="x">&"'


def shown(html):
    return card(SimpleNamespace(_repr_html_=lambda: html))


def test_a_card_escapes_its_text_and_styles_only_itself():
    parts = [markup.facts([(EVIL, EVIL), ("nothing", "")], EVIL), markup.details(EVIL, markup.paragraph(EVIL)), ""]
    reader = shown(markup.card(EVIL, parts, "own", ".tk-card.own p { color: red; }\n"))
    assert reader.cells.count(EVIL) == 5
    assert "nothing" not in reader.text
    assert reader.attributes[0] == ("div", {"class": "tk-card own", "role": "region", "aria-label": EVIL})


def test_a_card_without_a_title_is_no_region():
    assert shown(markup.card("", [markup.paragraph("a")])).attributes[0] == ("div", {"class": "tk-card"})


def test_no_colour_of_text_is_fixed_but_on_a_ground_of_its_own():
    """White on nothing is lost in a light notebook, black on nothing in a dark one."""
    style = Reader(markup.card("a", [])).style
    colours = [line for line in style.split(";") if line.strip().removeprefix("{").strip().startswith("color:")]
    assert colours
    assert all("inherit" in line for line in colours)


def test_a_drawing_has_words_for_those_who_do_not_see_it():
    reader = Reader(markup.drawing('<circle r="1"/>', (10, 20), EVIL, EVIL))
    assert [each["aria-label"] for tag, each in reader.attributes if tag == "svg"] == [EVIL]
    assert reader.text == EVIL
