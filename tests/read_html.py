"""What a browser would make of HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Checks that elements are closed in order; keeps text and attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.style, self.attributes = [], [], "", "", []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.text += " " if tag in ("td", "th") else ""

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        elif self.open:
            self.text += data

    @property
    def cells(self):
        """Words and figures, with no more than a space between them."""
        return re.sub(r"\s+", " ", self.text)

    @property
    def selectors(self):
        """What the rules of its styles reach."""
        rules = re.sub(r"/\*.*?\*/|@media[^{]*{", "", self.style, flags=re.S)
        return [one.strip() for heads in re.findall(r"([^{}]+){", rules) for one in heads.split(",")]


def card(shown):
    """What an object shows of itself, checked to be whole, to name no class-less rule and to run nothing."""
    reader = Reader(shown._repr_html_())
    assert reader.selectors
    assert all(one.startswith(".tk-card") for one in reader.selectors), reader.selectors
    assert not {"script", "b-class"} & set(reader.tags)
    assert not [name for _, attributes in reader.attributes for name in attributes if name.startswith("on")]
    return reader
