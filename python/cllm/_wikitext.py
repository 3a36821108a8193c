"""Wikipedia's dump as plain text: articles without markup, one after another, case and punctuation
as they are.

What a reader of the page would see as running text is kept: paragraphs, headings, items of lists,
captions, the words of links. Gone are redirects, templates, tables, references, formulas, comments,
links to other languages, categories and files. The same dump always gives the same text; of the
dump only one page at a time is in memory.
"""

import html
import re
from collections.abc import Callable, Iterable, Iterator

Replacement = str | Callable[[re.Match[str]], str]

_REDIRECT = re.compile(r"\s*#redirect", re.IGNORECASE)

# What is removed with everything in it. A comment or element that is never closed ends the page.
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HIDDEN = re.compile(r"<(ref|math|gallery|timeline|imagemap|table)\b"
                     r"(?:[^<>]*/>|.*?(?:</\1\s*>|\Z))", re.DOTALL | re.IGNORECASE)
# One that holds no other, so that removing until nothing changes removes nested ones from within.
_TEMPLATE = re.compile(r"\{\{(?:(?!\{\{|\}\}).)*\}\}", re.DOTALL)
_TABLE = re.compile(r"^[ \t:]*\{\|(?:(?!^[ \t:]*\{\||^[ \t]*\|\}).)*^[ \t]*\|\}",
                    re.DOTALL | re.MULTILINE)

_BREAK = re.compile(r"<(?:br|p|/p|hr)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_LINK = re.compile(r"\[\[((?:(?!\[\[|\]\]).)*)\]\]", re.DOTALL)
_ADDRESS = re.compile(r"\[(?:https?|ftp|news|mailto):[^\s\[\]]*\s*([^\[\]]*)\]", re.IGNORECASE)
_LANGUAGE = re.compile(r"(?:[a-z]{2,3}|simple|tokipona|minnan|zh-[a-z-]+|be-x-old|roa-rup|map-bms|"
                       r"fiu-vro|bat-smg):", re.IGNORECASE)
_FILE = re.compile(r"(?:image|file|media):", re.IGNORECASE)
_FILE_OPTION = re.compile(r"\s*(?:thumb|thumbnail|frame|framed|frameless|border|left|right|center|"
                          r"centre|none|\d*x?\d+\s*px|upright)\s*", re.IGNORECASE)
_CATEGORY = re.compile(r"\s*category:", re.IGNORECASE)

_EMPHASIS = re.compile(r"'{2,5}")
_HEADING = re.compile(r"^(={1,6})[ \t]*(.*?)[ \t]*\1[ \t]*$", re.MULTILINE)
_LIST_MARK = re.compile(r"^[*#:;]+[ \t]*", re.MULTILINE)
# Rules, magic words, and lines of tables that were never closed.
_OTHER_LINE = re.compile(r"^(?:-{4,}|__[A-Z]+__|[ \t]*(?:[|!]|\{\|).*)$", re.MULTILINE)
_LEFT_OVER = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}")
# Brackets whose contents are gone.
_EMPTY = re.compile(r"[ \t]*\([\s,;:]*\)")
_SPACES = re.compile(r"[ \t\u00a0]+")
_LINE_EDGE = re.compile(r" ?\n ?")
_EMPTY_LINES = re.compile(r"\n{3,}")


def _until_stable(pattern: re.Pattern[str], replacement: Replacement, text: str) -> str:
    found = 1
    while found:
        text, found = pattern.subn(replacement, text)
    return text


def _link_text(link: re.Match[str]) -> str:
    """What a reader sees of [[target|text]]."""
    target, *parts = link[1].split("|")
    if _CATEGORY.match(target) or (not parts and _LANGUAGE.match(target)):
        return ""
    if _FILE.match(target):  # its caption is the last part
        captions = [part for part in parts if not _FILE_OPTION.fullmatch(part)]
        return captions[-1] if captions else ""
    text = parts[-1] if parts and parts[-1].strip() else target
    return text.removeprefix(":")


def plain_text(markup: str) -> str:
    """The text of a page, whose paragraphs are a blank line apart; "" where there is none."""
    text = _COMMENT.sub("", markup)
    text = _HIDDEN.sub("", text)
    text = _until_stable(_TEMPLATE, "", text)
    text = _until_stable(_TABLE, "", text)
    text = _BREAK.sub("\n", text)
    text = _TAG.sub("", text)
    text = _ADDRESS.sub(r"\1", text)  # they stand in captions as well
    text = _until_stable(_LINK, _link_text, text)
    text = _EMPHASIS.sub("", text)
    text = _OTHER_LINE.sub("", text)
    text = _HEADING.sub(r"\n\2\n", text)
    text = _LIST_MARK.sub("", text)
    text = _LEFT_OVER.sub("", text)
    text = html.unescape(text)
    text = _EMPTY.sub("", text)
    text = _SPACES.sub(" ", text)
    text = _LINE_EDGE.sub("\n", text)
    return _EMPTY_LINES.sub("\n\n", text).strip()


def pages(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Title and markup of every page of a dump in MediaWiki's XML; the last may be cut off."""
    title, markup, inside = "", [""], False
    for line in lines:
        if not inside:
            if "<title>" in line:
                title = html.unescape(line.partition("<title>")[2].partition("</title>")[0])
            _, begin, line = line.partition("<text")
            if not begin:
                continue
            opening, _, line = line.partition(">")
            if opening.endswith("/"):  # an empty page
                continue
            markup, inside = [], True
        text, ends, _ = line.partition("</text>")
        markup.append(text)
        if ends:
            yield title, html.unescape("".join(markup))
            inside = False
    if inside:
        yield title, html.unescape("".join(markup))


def articles(lines: Iterable[str]) -> Iterator[str]:
    """The text of every page of a dump but redirects: its title, then its paragraphs."""
    for title, markup in pages(lines):
        text = "" if _REDIRECT.match(markup) else plain_text(markup)
        if text:
            yield f"{title}\n\n{text}\n"
