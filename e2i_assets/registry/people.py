"""Whether two names are of one person, as far as names can tell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from e2i_assets.registry.errors import RegistryError

MOST_WORDS = 10
_LATIN = re.compile(
    r"LATIN (?:SMALL|CAPITAL) (?:LETTER (?:DOTLESS |AFRICAN )?|LIGATURE )([A-Z]|AE|OE)(?: WITH .+)?"
)
_OTHER_LATIN = {"ð": "d", "þ": "th", "ŋ": "ng", "ə": "e", "ǝ": "e"}
_UMLAUTS = re.compile("(?<=[aou])e|(?<=a)a")
"""The second letter of what is also spelt with one, and dots or a ring."""


def require_person(name: str) -> str:
    """A person's name without blanks around it.

    Raises:
        RegistryError: it has no letters, has others than spelt names have, or mixes alphabets.
    """
    tidy = " ".join(unicodedata.normalize("NFKC", name).split())
    letters = [letter for letter in tidy if letter.isalpha()]
    too_long = len(tidy) > 100 or len(_words(tidy)) > MOST_WORDS
    if len(letters) < 2 or not tidy.isprintable() or too_long or re.search(r"[^\W\d_]\d+[^\W\d_]", tidy):
        raise RegistryError(
            f"{name!r} is no person's name", "Give first and last name, or an address of theirs.",
            code="no_such_person",
        )  # fmt: skip
    # A Cyrillic a in a Latin name looks like the name, and is another; so does a small capital.
    if len(_alphabets(tidy)) > 1 or ("LATIN" in _alphabets(tidy) and not all(map(_plain, letters))):
        raise RegistryError(
            f"{name!r} mixes letters of several alphabets", "Write it in one.", code="no_such_person"
        )
    return tidy


def same_person(one: str, other: str) -> bool:
    """Whether two names may be spellings of one: case, accents and umlauts, order, initials, blanks and
    addresses aside.

    Where they may be, they are: `anna` is Anna Smith until she gives her last name, and nobody can tell a
    name from one in another alphabet.
    """
    if _alphabets(one) != _alphabets(other):
        return True
    return any(_alike(a, b) for a in _readings(_words(one)) for b in _readings(_words(other)))


def _alike(one: list[str], other: list[str]) -> bool:
    few, many = sorted((sorted(one), sorted(other)), key=len)
    if "".join(few) == "".join(many) or _initialled(few, many):
        return True
    left = list(many)
    for part in few:
        same = next((candidate for candidate in left if _abbreviates(part, candidate)), None)
        if same is None:
            return False
        left.remove(same)
    return True


def _alphabets(name: str) -> set[str]:
    return {unicodedata.name(letter, "?").split()[0] for letter in name.split("@")[0] if letter.isalpha()}


def _words(name: str) -> list[str]:
    """Words of a name in plain small letters; of an address those before the @."""
    letters = "".join(map(_plain, unicodedata.normalize("NFKD", name.split("@")[0])))
    return [_UMLAUTS.sub("", word) for word in re.findall(r"[^\W\d_]+", letters)]


def _plain(character: str) -> str:
    """What a character is spelt with where there is nothing but the plain alphabet; nothing of accents, and
    of Latin letters that no name is spelt with.
    """
    if unicodedata.category(character).startswith("M"):
        return ""
    folded = unicodedata.normalize("NFKD", character).casefold()
    base = "".join(one for one in folded if not unicodedata.category(one).startswith("M"))
    name = unicodedata.name(character, "?")
    if base.isascii() or not name.startswith("LATIN"):
        return base
    letter = _LATIN.fullmatch(name)
    return _OTHER_LATIN.get(base, letter[1].lower() if letter else "")


def _readings(words: list[str]) -> Iterator[list[str]]:
    """A name as it is written, and with some of its neighbouring words written as one."""
    yield words
    for start in range(len(words)):
        for end in range(start + 2, len(words) + 1):
            yield [*words[:start], "".join(words[start:end]), *words[end:]]


def _abbreviates(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return short == long or (len(short) == 1 and long.startswith(short))


def _initialled(few: list[str], many: list[str]) -> bool:
    """Whether one word stands for a first and a last name: `asmith`, `smitha`, `annas`."""
    if len(few) != 1 or len(many) != 2:
        return False
    (word,), (a, b) = few, many
    return word in {a + b, b + a, a[0] + b, b + a[0], b[0] + a, a + b[0]}
