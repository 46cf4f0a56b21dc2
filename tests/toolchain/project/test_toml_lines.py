from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.project.toml_lines import key_lines, nearest_line

SCALARS = [
    "1", "0x1F", "1_000.5e-3", "inf", "true", "1979-05-27", "1979-05-27 07:32:00Z", "07:32:00",
    '"plain"', '"esc \\" ] } # ="', "'lit \\'", "''", '""', '"""one"""', "'''one'''",
    '"""\nkey = 1\n[table]\n# no comment\n"""', "'''\nkey = [\n[[array]]\n'''",
    '"""ends in quotes"""""', "'''ends in quotes'''''", '"""a \\""" b\nc"""', '"""folded \\\n   line"""',
]  # fmt: skip
NOISE = ["", "\n", "# key = [1, { x = 2 }]\n", "   \n\t\n", '# """ \n']

keys = st.text(alphabet="abc-_.#=[]{}\"'\\ é,", max_size=4)
scalars = st.sampled_from(SCALARS).map(lambda text: ("scalar", text))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.tuples(st.just("array"), st.lists(st.tuples(inner, st.sampled_from(NOISE)), max_size=3)),
        st.tuples(st.just("inline"), st.dictionaries(keys, inner, max_size=3)),
    ),
    max_leaves=6,
)
pairs = st.dictionaries(keys, values | st.tuples(st.just("dotted"), keys, values), max_size=3)
tables = st.tuples(st.just("table"), st.lists(keys, max_size=2), pairs)
elements = st.tuples(pairs, st.none() | st.tuples(st.just("sub"), keys, pairs))
arrays = st.tuples(st.just("tables"), st.lists(elements, min_size=1, max_size=3))
documents = st.tuples(pairs, st.dictionaries(keys, tables | arrays, max_size=3), st.lists(st.sampled_from(NOISE)))


class Writer:
    """Writes a document and notes, independently of any parser, on which line each path was written."""

    def __init__(self, noise: list[str]) -> None:
        self.text, self.line, self.noise = "", 1, noise
        self.lines: dict[tuple[Any, ...], int] = {}

    def write(self, text: str) -> None:
        self.text += text
        self.line += text.count("\n")

    def note(self, path: tuple[Any, ...]) -> tuple[Any, ...]:
        self.lines.setdefault(path, self.line)
        return path

    def key(self, name: str) -> str:
        if re.fullmatch(r"[A-Za-z0-9_-]+", name):
            return name
        return f"'{name}'" if "'" not in name and len(name) % 2 else json.dumps(name, ensure_ascii=False)

    def pause(self) -> None:
        self.write(self.noise.pop() if self.noise else "")

    def value(self, path: tuple[Any, ...], value: Any) -> None:
        kind, content = value
        if kind == "scalar":
            self.write(content)
        elif kind == "array":
            self.write("[")
            for index, (element, noise) in enumerate(content):
                self.write(f" {noise}")
                self.value(self.note((*path, index)), element)
                self.write(f" {noise},")
            self.write("]")
        else:
            self.write("{ ")
            for index, (name, inner) in enumerate(content.items()):
                self.write(f"{', ' if index else ''}{self.key(name)} =")
                self.value(self.note((*path, name)), inner)
            self.write("}")

    def pairs(self, table: tuple[Any, ...], content: dict[str, Any]) -> None:
        for name, value in content.items():
            self.pause()
            path = self.note((*table, name))
            self.write(f"  {self.key(name)}")
            dotted = value[0] == "dotted"
            if dotted:
                path = self.note((*path, value[1]))
                self.write(f" . {self.key(value[1])}")
            self.write("\t= ")
            self.value(path, value[2] if dotted else value)
            self.write(" # = [\n")

    def document(self, top: dict[str, Any], sections: dict[str, Any]) -> None:
        self.pairs((), top)
        for name, section in sections.items():
            if name in top:
                continue
            if section[0] == "table":
                self.table([name, *section[1]], section[2])
            else:
                self.array_of_tables(name, section[1])

    def table(self, names: list[str], content: dict[str, Any]) -> None:
        self.pause()
        for length in range(1, len(names) + 1):
            self.note(tuple(names[:length]))
        self.header("[", names, "]")
        self.pairs(tuple(names), content)

    def header(self, left: str, names: list[str], right: str) -> None:
        self.write(f"{left} {' . '.join(self.key(name) for name in names)} {right} # [x]\n")

    def array_of_tables(self, name: str, content: list[Any]) -> None:
        for index, (element, sub) in enumerate(content):
            self.pause()
            self.note((name,))
            path = self.note((name, index))
            self.header("[[", [name], "]]")
            self.pairs(path, element)
            if sub and sub[1] not in element:
                self.pause()
                self.note((*path, sub[1]))
                self.header("[", [name, sub[1]], "]")
                self.pairs((*path, sub[1]), sub[2])


def paths(tree: Any, path: tuple[Any, ...] = ()) -> set[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return set().union(*({(*path, key)} | paths(value, (*path, key)) for key, value in items))


@settings(max_examples=300, deadline=None)
@given(documents, st.booleans())
def test_lines_are_where_the_document_was_written(document, windows):
    top, sections, noise = document
    writer = Writer(list(noise))
    writer.document(top, sections)
    text = writer.text.replace("\n", "\r\n") if windows else writer.text
    assert paths(tomllib.loads(text)) == set(writer.lines), "the generator itself writes what it means to"
    assert key_lines(text) == writer.lines, f"the locator disagrees about the lines of:\n{text}"


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("[a.b]\nx = 1\n[a]\ny = 2\n", ("a",), 3),
        ("[a.b]\nx = 1\n", ("a",), 1),
        ("[[d]]\n[[d]]\n[d.budget]\nlatency = 1\n", ("d", 1, "budget", "latency"), 4),
        ("[[d]]\n[[d.e]]\n[[d.e]]\n[[d]]\n[[d.e]]\n", ("d", 1, "e", 0), 5),
        ("steps = [\n  # first\n  { a = {} },\n  { b = { c = 1 } },\n]", ("steps", 1, "b", "c"), 4),
        ('"\\u0061" = 1', ("a",), 1),
        ('text = """\nmodel = 1\n"""\nmodel = 2', ("model",), 4),
        ("a = 1 # no newline at the end", ("a",), 1),
        ("when = 1979-05-27 07:32:00\nnext = [1979-05-27 07:32:00,\n2]", ("next", 1), 3),
    ],
)
def test_lines_of_single_cases(text, path, line):
    assert key_lines(text)[path] == line, f"the line of {path} in:\n{text}"


@pytest.mark.parametrize(
    ("path", "line"), [(("model", "source"), 2), (("model", "missing", 3), 1), (("absent",), None), ((), None)]
)
def test_nearest_line_falls_back_to_what_encloses_the_key(path, line):
    assert nearest_line(key_lines('[model]\nsource = "x"\n'), path) == line


def test_an_empty_document_has_no_lines():
    assert key_lines("") == {} and key_lines("\n# only a comment") == {}


def test_text_that_is_not_toml_is_refused_and_does_not_loop():
    with pytest.raises(ValueError, match="line 2"):
        key_lines("a = 1\n= 2\n")
