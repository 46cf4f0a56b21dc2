"""The little Markdown that the documentation's own tests rely on."""

from __future__ import annotations

from tools.docs.checking import agent_problem, not_run_problem, toml_problem
from tools.docs.markdown import anchors, blocks, commands, links, table, without_code

PAGE = """# A title, with `code`

<!-- file: a.toml -->
<!-- wrong: on purpose -->

```toml
[x]
```

text

<!-- exit: 2 -->
words in between
```console
$ one \\
  two
answer
$ three
```

## A title, with `code`

[a](b.md#c) ![d](e.png) <img src="f.png"> `[not](a-link)`

```text
[not](one-either)
```
"""


def test_blocks_and_their_notes():
    toml, console, text = blocks(PAGE)
    assert (toml.language, toml.text, toml.line) == ("toml", "[x]\n", 6)
    assert toml.notes == {"file": "a.toml", "wrong": "on purpose"}
    assert console.notes == {}, "a note counts only right above its block"
    assert text.language == "text"


def test_commands_and_output():
    console = list(blocks(PAGE))[1]
    one, three = commands(console)
    assert (one.text, one.output) == ("one   two", ("answer",))
    assert (three.text, three.output) == ("three", ())


def test_links_and_anchors():
    assert links(PAGE) == ["b.md#c", "e.png", "f.png"]
    assert anchors(PAGE) == {"a-title-with-code", "a-title-with-code-1"}
    assert "[x]" not in without_code(PAGE) and "wrong" not in without_code(PAGE)


def test_tables_keep_bars_inside_of_cells():
    assert table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |"


def test_fragments_of_projects_are_judged():
    assert toml_problem('[budget]\nlatency = "5 ms"\n') == ""
    assert "latencies" in toml_problem('[budget]\nlatencies = "5 ms"\n')
    assert "needs the key" in toml_problem('targets = ["litert"]\nname = "x"\n')


def test_blocks_that_are_not_run_are_still_judged():
    def judge(text: str, reason: str = "it needs a board") -> str:
        return not_run_problem(next(blocks(f"<!-- not run: {reason} -->\n```console\n$ {text}\n```\n")))

    assert judge("edgewright profile build/x --via ssh://pi@board") == ""
    assert "refused" in judge("edgewright profile build/x --vai ssh://pi@board")
    assert "no shell" in judge("echo 'open")
    assert "does not say why" in judge("true", reason="later")


def test_a_devices_file_is_judged_by_its_agent():
    needed = 'device = "a"\nproduct = "b"\nchannel = "c"\nrepository = "http://d/"\nfolder = "e"\n'
    assert agent_problem(needed) == ""
    assert "unknown key" in agent_problem(f"{needed}intervall = 5\n")
