"""Whether two names are of one person, as far as names can tell."""

from __future__ import annotations

import re
import unicodedata

from e2i_assets.registry.errors import RegistryError


def require_person(name: str) -> str:
    """A person's name without blanks around it.

    Raises:
        RegistryError: it has no letters, has others than spelt names have, or mixes alphabets.
    """
    tidy = " ".join(unicodedata.normalize("NFKC", name).split())
    letters = [letter for letter in tidy if letter.isalpha()]
    if len(letters) < 2 or not tidy.isprintable() or len(tidy) > 100:
        raise RegistryError(
            f"{name!r} is no person's name", "Give first and last name, or an address of theirs.",
            code="no_such_person",
        )  # fmt: skip
    # A Cyrillic a in a Latin name looks like the name, and is another.
    if len({unicodedata.name(letter, "?").split()[0] for letter in letters}) > 1:
        raise RegistryError(
            f"{name!r} mixes letters of several alphabets", "Write it in one.", code="no_such_person"
        )
    return tidy


def same_person(one: str, other: str) -> bool:
    """Whether two names may be spellings of one: case, accents, order, initials and addresses aside.

    Where they may be, they are: `anna` is Anna Smith until she gives her last name.
    """
    few, many = sorted((_parts(one), _parts(other)), key=len)
    if "".join(few) == "".join(many) or _initialled(few, many):
        return True
    left = list(many)
    for part in few:
        same = next((candidate for candidate in left if _abbreviates(part, candidate)), None)
        if same is None:
            return False
        left.remove(same)
    return True


def _parts(name: str) -> list[str]:
    """Parts of a name in order of the alphabet; of an address those before the @."""
    plain = unicodedata.normalize("NFKD", name.split("@")[0]).casefold()
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return sorted(re.findall(r"[^\W\d_]+", letters))


def _abbreviates(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return short == long or (len(short) == 1 and long.startswith(short))


def _initialled(few: list[str], many: list[str]) -> bool:
    """Whether one word stands for a first and a last name: `asmith`, `smitha`, `annas`."""
    if len(few) != 1 or len(many) != 2:
        return False
    (word,), (a, b) = few, many
    return word in {a + b, b + a, a[0] + b, b + a[0], b[0] + a, a + b[0]}
