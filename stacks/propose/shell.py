"""The commands in a shell script, with the variables that are known. Nothing is executed.

Branches are all taken, in their order: which one runs, only the job knows. tree-sitter's grammar of bash reads the
script, and goes on after a mistake in it.
"""

import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import tree_sitter
import tree_sitter_bash

from stacks.propose.text import MAX_TEXT, expand, is_known

MAX_SCRIPT = 200_000
"""Characters of a script."""
MAX_COMMANDS = 5_000
_MAX_DEPTH = 60
_MAX_LOOP = 100
_CONTROL = ("if_statement", "case_statement", "while_statement", "function_definition")

_LANGUAGE = tree_sitter.Language(tree_sitter_bash.language())


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: its words, the folder it runs in, from the repository's root, and the variables that it sees."""

    words: tuple[str, ...]
    folder: str
    variables: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Script:
    """The commands of a script, and the texts that it writes to files."""

    commands: tuple[Command, ...]
    written: Mapping[str, str]


def read(
    text: str,
    variables: Mapping[str, str],
    source: Callable[[str], str | None],
    glob: Callable[[str], Sequence[str]],
) -> Script:
    """Read a script that begins in the repository's root.

    `source` gives the text of a script in the repository, by its path, for scripts that call others. `glob` gives the
    files and folders that match a pattern, for loops over them.
    """
    reader = _Reader(variables=dict(variables), source=source, glob=glob)
    reader.script(text)
    return Script(commands=tuple(reader.commands), written=reader.written)


@dataclass
class _Reader:
    variables: dict[str, str]
    source: Callable[[str], str | None]
    glob: Callable[[str], Sequence[str]]
    folder: str = "."
    commands: list[Command] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    arrays: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    """Variables that have several values: which of them holds depends on the run."""
    calls: tuple[str, ...] = ()
    """The scripts that call this one, and this one, last."""

    def script(self, text: str) -> None:
        parser = tree_sitter.Parser(_LANGUAGE)
        tree = parser.parse(text[:MAX_SCRIPT].encode("utf-8", "replace"))
        self._statements(tree.root_node, 0)

    def _statements(self, node: tree_sitter.Node, depth: int, conditional: bool = False) -> None:
        if depth > _MAX_DEPTH or len(self.commands) >= MAX_COMMANDS:
            return
        match node.type:
            case "variable_assignment":
                self._assign(node, conditional)
            case "command":
                self._command(node)
            case "for_statement":
                self._loop(node, depth)
            case "redirected_statement":
                self._redirected(node, depth, conditional)
            case "subshell":
                folder, variables = self.folder, dict(self.variables)
                self._inner(node, depth, conditional)
                self.folder, self.variables = folder, variables
            case _:
                self._inner(node, depth, conditional or node.type in _CONTROL)

    def _inner(self, node: tree_sitter.Node, depth: int, conditional: bool) -> None:
        for child in node.named_children:
            self._statements(child, depth + 1, conditional)

    def _assign(self, node: tree_sitter.Node, conditional: bool) -> None:
        name, value = _text(node.child_by_field_name("name")), node.child_by_field_name("value")
        appends = any(child.type == "+=" for child in node.children)
        if value is not None and value.type == "array":
            words = [word for child in value.named_children for word in self._words(child)]
            self.arrays[name] = (*(self.arrays.get(name, ()) if appends or conditional else ()), *words)[:_MAX_LOOP]
            return
        text = self._value(value) if value else ""
        if appends:
            self.variables[name] = f"{self.variables.get(name, '')}{text}"[:MAX_TEXT]
        elif conditional and (name in self.unsure or self.variables.get(name, text) != text):
            self.variables.pop(name, None)
            self.unsure.add(name)
        elif not name.endswith("]"):
            self.variables[name] = text
            self.unsure.discard(name)

    def _loop(self, node: tree_sitter.Node, depth: int) -> None:
        name, body = _text(node.child_by_field_name("variable")), node.child_by_field_name("body")
        words = [word for child in node.children_by_field_name("value") for word in self._words(child)]
        values = [value for word in words for value in self._matching(word)]
        known = all(is_known(value) for value in values)
        if body is None:
            return
        before = self.variables.pop(name, None)
        for value in values[:_MAX_LOOP] if known else [None]:
            if value is not None:
                self.variables[name] = value
            self._inner(body, depth, False)
        self.variables.pop(name, None)
        if before is not None:
            self.variables[name] = before

    def _matching(self, word: str) -> list[str]:
        """The paths that match a word with a pattern; the word itself, if it has none."""
        if not is_known(word) or not set("*?[") & set(word):
            return [word]
        found = self.glob(posixpath.normpath(posixpath.join(self.folder, word)))
        slash = "/" if word.endswith("/") else ""
        return [f"{posixpath.relpath(path, self.folder)}{slash}" for path in found]

    def _redirected(self, node: tree_sitter.Node, depth: int, conditional: bool) -> None:
        self._inner(node, depth, conditional)
        body = node.child_by_field_name("body")
        for redirect in node.children_by_field_name("redirect"):
            heredoc = next((child for child in redirect.named_children if child.type == "heredoc_body"), None)
            file = redirect if redirect.type == "file_redirect" else None
            if heredoc is not None:
                file = next((child for child in redirect.named_children if child.type == "file_redirect"), None)
                text = self._expand(_text(heredoc))
            else:
                words = self._all_words(body) if body is not None and body.type == "command" else []
                text = "\n".join(words[1:]) if words[:1] in (["echo"], ["printf"]) else ""
            target = file.child_by_field_name("destination") if file else None
            path = posixpath.normpath(posixpath.join(self.folder, self._value(target))) if target else ""
            if path and text and len(self.written.get(path, "")) < MAX_SCRIPT:
                self.written[path] = f"{self.written.get(path, '')}{text}\n"

    def _command(self, node: tree_sitter.Node) -> None:
        words = self._all_words(node)
        own = {
            _text(child.child_by_field_name("name")): self._value(value) if value else ""
            for child in node.named_children
            if child.type == "variable_assignment"
            for value in [child.child_by_field_name("value")]
        }
        if not words:
            self.variables |= own
            return
        if words[0] in ("cd", "pushd") and len(words) > 1:
            self.folder = posixpath.normpath(posixpath.join(self.folder, words[-1]))
        self.commands.append(Command(words=tuple(words), folder=self.folder, variables={**self.variables, **own}))
        self._called(words, own)

    def _called(self, words: Sequence[str], own: Mapping[str, str]) -> None:
        """Read a script of the repository that this command calls."""
        interpreted = words[0] in ("sh", "bash", "source", ".")
        rest = [word for word in words if not word.startswith("-")] if interpreted else list(words)
        rest = rest[1:] if interpreted else rest
        if not rest or ("/" not in rest[0] and not interpreted) or len(self.calls) >= 3:
            return
        path = posixpath.normpath(posixpath.join(self.folder, rest[0]))
        text = None if path in self.calls else self.source(path)
        if text is None:
            return
        given = {str(number): word for number, word in enumerate(rest[1:], start=1)}
        inner = _Reader(
            variables={**self.variables, **own},
            source=self.source,
            glob=self.glob,
            folder=self.folder,
            commands=self.commands,
            written=self.written,
            arrays=dict(self.arrays),
            calls=(*self.calls, path),
        )
        inner.script(_with_arguments(text, given))
        if words[0] in ("source", "."):
            self.variables, self.folder = inner.variables, inner.folder

    def _all_words(self, node: tree_sitter.Node) -> list[str]:
        parts = [node.child_by_field_name("name"), *node.children_by_field_name("argument")]
        words: list[str] = []
        end, glued = -1, ""
        for part in parts:
            if part is None:
                continue
            if words and part.start_byte == end:  # the grammar cuts $A-$B.c in two
                glued += _text(part)
                words[-1] = self._expand(glued)
            else:
                glued = _text(part)
                words += self._words(part)
            end = part.end_byte
        return words

    def _words(self, node: tree_sitter.Node) -> list[str]:
        """The words that the shell makes of one: a variable without quotes may be several, or none."""
        if node.type == "command_name" and node.named_children:
            node = node.named_children[0]
        if array := re.fullmatch(r'"?\$\{(\w+)\[[@*]\]\}"?', _text(node)):
            return list(self.arrays.get(array[1], (_text(node).strip('"'),)))
        text = self._value(node)
        if node.type not in ("simple_expansion", "expansion"):
            return [text]
        try:
            return shlex.split(text)
        except ValueError:
            return text.split()

    def _value(self, node: tree_sitter.Node, depth: int = 0) -> str:
        text = _text(node)
        match node.type:
            case _ if depth > _MAX_DEPTH:
                return "$(...)"
            case "word":
                return _unescaped(text)
            case "raw_string":
                return text[1:-1]
            case "ansi_c_string":
                return text[2:-1]
            case "simple_expansion" | "expansion":
                return self._expand(text)
            case "command_substitution":
                return self._substituted(node, depth)
            case "string" | "concatenation":
                return self._joined(node, depth)
            case _:
                return text

    def _substituted(self, node: tree_sitter.Node, depth: int) -> str:
        """The output of a command that only tells or changes a path. No other command's output is known."""
        commands = [child for child in _leaves(node, depth) if child.type == "command"]
        words = [[self._value(part, depth + 1) for part in _parts(command)] for command in commands]
        match words:
            case [["pwd"]] | [["git", "rev-parse", "--show-toplevel"]]:
                return self.folder if words[0] == ["pwd"] else "."
            case [["cd", path], ["pwd", *_]] if is_known(path):
                return posixpath.normpath(posixpath.join(self.folder, path))
            case [["dirname", path]] if is_known(path):
                return posixpath.dirname(path) or "."
            case [["basename", path]] if is_known(path):
                return posixpath.basename(path.rstrip("/"))
            case [["realpath" | "readlink", *_, path]] if is_known(path):
                return posixpath.normpath(path)
        return "$(...)"

    def _joined(self, node: tree_sitter.Node, depth: int) -> str:
        """The parts of a text, with what is between them, which has no node."""
        data, start, end = node.text or b"", node.start_byte, node.end_byte
        quoted = node.type == "string"
        parts, position = [], start + quoted
        for child in node.named_children:
            parts.append(data[position - start : child.start_byte - start].decode("utf-8", "replace"))
            parts.append(_in_quotes(_text(child)) if child.type == "string_content" else self._value(child, depth + 1))
            position = child.end_byte
        parts.append(data[position - start : end - start - quoted].decode("utf-8", "replace"))
        return "".join(parts)[:MAX_TEXT]

    def _expand(self, text: str) -> str:
        here = {"PWD": self.folder, **self.variables}
        text = text.replace("$(pwd)", self.folder).replace("`pwd`", self.folder)
        if self.calls:
            text = re.sub(r"\$0\b|\$\{0\}|\$\{BASH_SOURCE\[0\]\}|\$\{?BASH_SOURCE\}?", lambda _: self.calls[-1], text)
        return expand(text, here)


def commands(script: Script, *names: str) -> Iterator[Command]:
    """The script's commands with one of these names."""
    return (command for command in script.commands if command.words[0] in names)


def _with_arguments(text: str, given: Mapping[str, str]) -> str:
    """A script's text in which its arguments have names that are valid for variables."""
    names = "\n".join(f"__{number}={shlex.quote(word)}" for number, word in given.items())
    for number in given:
        text = text.replace(f"${{{number}}}", f"${{__{number}}}").replace(f"${number}", f"${{__{number}}}")
        text = text.replace(f"${{{number}:-", f"${{__{number}:-")
    return f"{names}\n{text}"


def _leaves(node: tree_sitter.Node, depth: int) -> Iterator[tree_sitter.Node]:
    """The commands in a substitution, without those in substitutions of their own."""
    for child in node.named_children if depth < _MAX_DEPTH else ():
        if child.type == "command":
            yield child
        elif child.type in ("list", "redirected_statement", "pipeline"):
            yield from _leaves(child, depth + 1)


def _parts(command: tree_sitter.Node) -> list[tree_sitter.Node]:
    name = command.child_by_field_name("name")
    return [*(name.named_children if name is not None else ()), *command.children_by_field_name("argument")]


def _text(node: tree_sitter.Node | None) -> str:
    return (node.text or b"").decode("utf-8", "replace") if node is not None else ""


def _unescaped(text: str) -> str:
    return text.replace("\\\n", "").replace("\\", "") if "\\" in text else text


def _in_quotes(text: str) -> str:
    for sign in ('"', "$", "`"):
        text = text.replace(f"\\{sign}", sign)
    return text.replace("\\\n", "")
