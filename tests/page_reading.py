"""Reads a page as a browser would: its elements, forms and links."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "input", "br", "hr"}


@dataclass
class Element:
    """An element with its attributes, and the text in it."""

    tag: str
    attributes: dict
    text: str = ""
    inside: list = field(default_factory=list)

    def __getitem__(self, name):
        """Return an attribute."""
        return self.attributes[name]

    def get(self, name, default=None):
        """Return an attribute, or the default."""
        return self.attributes.get(name, default)


class Page(HTMLParser):
    """The elements of a page, in their order; an end that does not belong to a start is an error."""

    def __init__(self, text):
        """Read the text of a page or of a piece of one."""
        super().__init__()
        self.elements = []
        self._open = []
        self.feed(text)
        assert self._open == [], [element.tag for element in self._open]

    def handle_starttag(self, tag, attrs):
        """Begin an element."""
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        for other in self._open:
            other.inside.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        """End the last element begun."""
        assert self._open and self._open[-1].tag == tag, f"</{tag}> ends nothing"
        self._open.pop()

    def handle_data(self, data):
        """Keep the text of each element around it."""
        for element in self._open:
            element.text += data

    def all(self, tag, **attributes):
        """Return the elements of a tag with these attributes."""
        return [
            element
            for element in self.elements
            if element.tag == tag
            and all(element.get(name) == value for name, value in attributes.items())
        ]

    def one(self, tag, **attributes):
        """Return the one element of a tag with these attributes."""
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} {tag} {attributes}"
        return found[0]

    def form(self, action):
        """Return what a browser sends with the first form that has this action."""
        form = next(one for one in self.all("form") if one["action"].endswith(action))
        sent = {}
        for element in form.inside:
            if element.get("type") == "checkbox" and "checked" not in element.attributes:
                continue
            if element.tag == "input" and "name" in element.attributes:
                sent[element["name"]] = element.get("value", "")
            if element.tag == "textarea":
                sent[element["name"]] = element.text
            if element.tag == "select":
                options = [one for one in element.inside if one.tag == "option"]
                chosen = [one for one in options if "selected" in one.attributes] or options
                sent[element["name"]] = chosen[0]["value"]
        return sent

    def text(self):
        """Return the words of the page."""
        return " ".join(self.one("main").text.split())
