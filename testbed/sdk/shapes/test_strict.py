"""The checks themselves: they must see what is wrong."""

from typing import Iterable, Literal, Union

from typing_extensions import Required, TypedDict

import strict


class Text(TypedDict, total=False):
    type: Required[Literal["text"]]
    text: Required[str]
    level: float


class Image(TypedDict, total=False):
    type: Required[Literal["image"]]


class Body(TypedDict, total=False):
    parts: Required[Iterable[Union[Text, Image]]]


def test_flaws_are_seen():
    assert strict.fits({"parts": [{"type": "text", "text": "x", "level": 1}]}, Body) == []
    assert strict.fits({"parts": [{"type": "text", "text": "x", "odd": 1}]}, Body) == [".parts[0].odd: unknown to Text"]
    assert strict.fits({"parts": [{"type": "image"}, {"type": "text"}]}, Body) == [".parts[1].text: required by Text"]
    assert strict.fits({"parts": [{"type": "text", "text": 1}]}, Body) == [".parts[0].text: 1 is no str"]
    assert strict.fits({}, Body) == [".parts: required by Body"]
    assert len(strict.fits({"parts": [{"type": "sound"}]}, Body)) == 1
