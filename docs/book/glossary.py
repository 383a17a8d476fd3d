"""The glossary's words: a page of entries, and in each lesson a link from the first use of a word to its entry.

The link carries the definition, so that a reader who has forgotten a word need not leave the page. Words that people
use every day mean what the glossary says only where it says so: "step", "cell" or "window" is linked in the lessons
that the entry names, and nowhere else.
"""

import re
from dataclasses import dataclass

from bs4 import NavigableString

from . import BookError, texts

GLOSSARY = "docs/glossary.md"
ENTRY = re.compile(r"- \*\*(.+?)\*\*: (.+?) \(((?:[^()]|\([^()]*\))*)\)")      # name, text, where it is explained
EVERYDAY = set("""
aligned background baseline bin candidate cell compete decision double exclusive fork frame influence instance join jump
kink length level loose missed nearest notes patience patient pixel plan precision probe right sample score seed share
size smoothing spread stage stamp step target template trace track variant weights window
""".split())
PLACES = ["p", "li", "td", "dd"]        # text that is read
NOT_IN = {"a", "code", "pre", "h1", "h2", "h3", "h4", "summary", "svg", "script", "th", "label", "figure"}


@dataclass(eq=False)
class Entry:
    """An entry of the glossary."""

    name: str
    text: str           # in Markdown
    where: str          # what stands in the parentheses at its end, in Markdown

    @property
    def anchor(self):
        """Where it stands in the glossary's page."""
        return texts.slug(self.name)

    @property
    def lessons(self):
        """Numbers of the lessons that it names."""
        return re.findall(r"\b\d\d\b", self.where) if self.where.startswith("lesson") else []

    @property
    def plain(self):
        """The definition without marks."""
        return re.sub(r"[*`$]|\[([^\]]*)\]\([^)]*\)", lambda match: match[1] or "", self.text)

    @property
    def forms(self):
        """How it is written: "C2 to C5" is also C3, and "average precision (AP)" also AP."""
        base, _, added = self.name.partition(" (")
        found = base.split(", ")
        if re.search("[A-Z]", added) and " " not in added:
            found.append(added.rstrip(")"))
        span = re.fullmatch(r"([A-Z])(\d) to \1(\d)", base)
        return found + [f"{span[1]}{i}" for i in range(int(span[2]), int(span[3]) + 1)] if span else found

    @property
    def is_particular(self):
        """Whether the word has this meaning only where the glossary says so."""
        _, _, added = self.name.partition(" (")
        return self.name.partition(" (")[0] in EVERYDAY or (bool(added) and not re.search("[A-Z]", added))


def entries(text):
    """The entries in the Markdown of the glossary."""
    found = []
    for line in text.splitlines():
        match = ENTRY.fullmatch(line)
        if line.startswith("- ") and not match:
            raise BookError(f"{GLOSSARY}: an entry reads '- **name**: text (lesson 00)', not {line[:50]!r}")
        if match:
            found.append(Entry(*match.groups()))
    return found


def page(text, lesson_links):
    """The glossary's page.

    Parameters
    ----------
    text : str
        Markdown.
    lesson_links : dict of str to str
        The link of each lesson, by its number.
    """
    rows, letters = [], []
    for entry in entries(text):
        letter = entry.name[0].upper()
        first = f' id="letter-{letter}"' if letter.isalpha() and letter not in letters else ""
        letters += [letter] * bool(first)
        where = entry.where
        if entry.lessons:
            where = re.sub(r"\b\d\d\b", lambda match: f"[{match[0]}]({lesson_links.get(match[0], match[0])})", where)
        rows.append(f'<div{first}><dt id="{entry.anchor}">{inline(entry.name)}</dt>\n'
                    f'<dd>{inline(entry.text)} <span class="where">{inline(where)}</span></dd></div>')
    jumps = " ".join(f'<a href="#letter-{letter}">{letter}</a>' for letter in letters)
    before = texts.markdown(text.split("\n- **")[0])
    return texts.parsed(f'{before}<nav class="letters" aria-label="Letters">{jumps}</nav>\n'
                        f'<dl class="glossary">\n{chr(10).join(rows)}\n</dl>')


def inline(markdown):
    """Markdown of one line, without a paragraph around it."""
    return re.sub(r"^<p>|</p>$", "", texts.markdown(markdown).strip())


def link_words(body, number, found, address):
    """Link the first use of each of the glossary's words in a lesson.

    Parameters
    ----------
    body : BeautifulSoup
        Of the lesson; changed in place.
    number : str
        Of the lesson: "03".
    found : list of Entry
    address : str
        Of the glossary's page, as seen from the lesson.
    """
    known = [entry for entry in found if not entry.is_particular or number in entry.lessons]
    pattern, owners = finder(known)
    linked = set()
    for string in [string for string in body.find_all(string=True) if known and is_prose(string)]:
        pieces, end = [], 0
        for match in pattern.finditer(string):
            entry = owners[match.lastindex]
            if entry in linked:         # found all the same, so that no shorter term is linked within a longer one
                continue
            linked.add(entry)
            link = body.new_tag("a", href=f"{address}#{entry.anchor}", title=entry.plain, attrs={"class": "term"})
            link.string = match[0]
            pieces += [NavigableString(string[end:match.start()]), link]
            end = match.end()
        if pieces:
            string.replace_with(*pieces, NavigableString(string[end:]))


def finder(found):
    """Return a pattern that finds all forms of entries as whole words, the longest first, and each group's entry."""
    forms = [(form, entry) for entry in found for form in entry.forms]
    forms.sort(key=lambda pair: (-len(pair[0]), pair[0] != pair[1].name))      # "P6" before "P2 to P6", which has it
    owners = {i: entry for i, (_, entry) in enumerate(forms, start=1)}
    pattern = "|".join(f"({as_pattern(form)})" for form, _ in forms)
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-]|\s+R-CNN)"), owners


def as_pattern(form):
    """A form as a pattern: in the plural of any of its words, "padding" also as "padded", "relu" also as "ReLU"."""
    pattern = r"\s+".join(re.escape(word[:-3]) + "(?:ings?|e[ds])" if re.search(r"\w{3}ing$", word) else
                          re.escape(word) + ("(?:e?s)?" if word[-1].isalpha() else "") for word in form.split())
    if not form.islower() or not form[0].isalpha():
        return pattern
    return f"(?i:{pattern[0]}){pattern[1:]}" if " " in form else f"(?i:{pattern})"      # titles of papers have capitals


def is_prose(string):
    """Whether a piece of text is read as a sentence, and may hold a link."""
    parents = [parent.name for parent in string.parents]
    is_title = string.parent.name == "em" and " " in string and string[0].isupper()      # of a paper
    if is_title or string.parent.get_text().startswith("Core: "):       # what a lesson holds, before it begins
        return False
    return type(string) is NavigableString and bool(string.strip()) and not NOT_IN.intersection(parents) \
        and any(name in PLACES for name in parents)
