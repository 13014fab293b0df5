"""A pickle read as data: it makes lists, dicts, numbers, strings and inert stubs, nothing else.

Python's own `pickle` is a machine whose programs may call any function.  This one has the opcodes
that protocols 2 to 5 write for data, and calls nothing: a class or a function that the pickle names
becomes a `Global`, an object of it a `Stub`, and a call is handed to the reader of the file
(`Maker`), which knows a few by name.  Everything else is refused: the text opcodes of protocols 0
and 1, the extension registry, out-of-band buffers, any name of Python's library but a few types.

Time and memory are linear in the length of the pickle and have bounds of their own: MAX_OPCODES,
MAX_MEMO, MAX_DEPTH.  The result has no cycle, so everyone may descend into it.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ..shown import shown

MAX_OPCODES = 2**20  # of a pickle; a parameter with its optimizer's state takes about 100
MAX_MEMO = 2**18  # objects that are kept for a second use
MAX_DEPTH = 100  # levels of containers; a module within a module is three
MAX_NAME = 200  # characters of a class's name with its module
MAX_NUMBER = 32  # bytes of a whole number
KEY_BOUND = 2**63  # of whole numbers as keys: larger ones could all have the same hash

# Modules of Python's library, and of Python 2's, from which a pickle may name these and no others.
LIBRARY = sys.stdlib_module_names | {
    "__builtin__", "commands", "copy_reg", "exceptions", "nt", "popen2", "posix", "thread",
}  # fmt: skip
TYPES = {
    "bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "long", "object",
    "set", "str", "tuple", "unicode",
}  # fmt: skip
NAMED = {
    "__builtin__": TYPES,
    "builtins": TYPES,
    "_codecs": {"encode"},
    "argparse": {"Namespace"},
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "copy_reg": {"_reconstructor"},
    "copyreg": {"_reconstructor"},
    "datetime": {"date", "datetime", "timedelta"},
    "pathlib": {"Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
}


class TorchFileError(ValueError):
    """A file is not one that torch.save wrote, or holds more than data: the expected, the found."""


@dataclass(frozen=True, slots=True)
class Global:
    """A class or a function by its name, never the thing itself."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Stub:
    """An object of a class that was not loaded: what the pickle holds of it.

    kind      its class, or the function that a pickle calls to make it
    args      the arguments of that call
    state     its attributes, usually a dict
    items     of a class that is a dict
    elements  of a class that is a list or a set
    """

    __slots__ = ("args", "elements", "items", "kind", "state")

    def __init__(self, kind: Global, args: tuple = ()):
        self.kind, self.args = kind, args
        self.state: object = None
        self.items: dict = {}
        self.elements: list = []

    @property
    def attributes(self) -> dict[str, object]:
        """The state of an object that has a dict of names, else {}."""
        state = self.state if isinstance(self.state, dict) else {}
        return {name: value for name, value in state.items() if isinstance(name, str)}

    def __repr__(self) -> str:
        return f"<stub of {shown(str(self.kind))}>"


class Maker(Protocol):
    """Makes the values that a file of one kind adds to plain data.  Both raise TorchFileError."""

    def call(self, function: Global, args: tuple) -> object:
        """The value of a call in the pickle."""

    def persistent(self, identity: object) -> object:
        """The value that is kept outside of the pickle under this identity."""


class PlainData:
    """A `Maker` for pickles of plain data: it refuses both."""

    def call(self, function: Global, args: tuple) -> object:
        raise TorchFileError(f"it calls {shown(str(function))} where plain data is expected")

    def persistent(self, identity: object) -> object:
        raise TorchFileError("it refers to a storage where plain data is expected")


def read_pickle(data: memoryview, start: int, maker: Maker) -> tuple[object, int]:
    """The value of the pickle that begins at `start`, and the position behind it.

    Raises TorchFileError.
    """
    machine = _Machine(data, start, maker)
    value = machine.run()
    _check_shape(value)
    return value, machine.at


def plain_key(key: object) -> object:
    """A dict's key, whose hash cannot be chosen to slow the dict down.  Raises TorchFileError."""
    if key is None or isinstance(key, (str, bool, float, bytes)):
        return key
    if isinstance(key, int) and -KEY_BOUND <= key < KEY_BOUND:
        return key
    raise TorchFileError(f"a key of a dict must be a string or a number, not {described(key)}")


def described(value: object) -> str:
    """A value in a message: a name or a plain value as it is, a container by its type.

    The `repr` of nested containers that are used twice could be exponentially long.
    """
    if isinstance(value, Global):
        return shown(str(value))
    if isinstance(value, str):
        return shown(value[:MAX_NAME])
    if value is None or isinstance(value, (bool, int, float)):
        return shown(value)
    return f"a {type(value).__name__}"


class _Machine:
    """The stack, the marks in it, and the memo."""

    def __init__(self, data: memoryview, at: int, maker: Maker):
        self.data, self.at, self.maker = data, at, maker
        self.stack: list[object] = []
        self.marks: list[int] = []  # the stack's length at each
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        for _ in range(MAX_OPCODES):
            opcode = self.take(1)[0]
            if opcode == STOP:
                return self.result()
            step = STEPS.get(opcode)
            if step is None:
                raise TorchFileError(_refused(opcode))
            step(self)
        raise TorchFileError(f"its pickle has more than {MAX_OPCODES} opcodes")

    def result(self) -> object:
        if len(self.stack) != 1 or self.marks:
            raise TorchFileError(f"its pickle ends with {len(self.stack)} values, expected one")
        return self.stack[0]

    # ---- bytes ---------------------------------------------------------------------------------

    def take(self, count: int) -> memoryview:
        end = self.at + count
        if end > len(self.data):
            raise TorchFileError(
                f"its pickle ends at byte {len(self.data)}, expected {count} more from {self.at} on"
            )
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def whole(self, count: int) -> int:
        """An unsigned number of so many bytes."""
        return int.from_bytes(self.take(count), "little")

    def signed(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little", signed=True)

    def long(self, count: int) -> int:
        if count > MAX_NUMBER:
            raise TorchFileError(f"a number has {count} bytes, expected at most {MAX_NUMBER}")
        return self.signed(count)

    def text(self, count: int) -> str:
        try:
            return str(self.take(count), "utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise TorchFileError(f"a string before byte {self.at} is not UTF-8") from None

    def text_or_bytes(self, count: int) -> str:
        """A string of Python 2: UTF-8, or if it is not, a character for each byte."""
        taken = bytes(self.take(count))
        try:
            return taken.decode()
        except UnicodeDecodeError:
            return taken.decode("latin-1")

    def line(self) -> str:
        """A line of a class's name."""
        ahead = bytes(self.data[self.at : self.at + MAX_NAME])
        length = ahead.find(b"\n")
        if length < 0:
            raise TorchFileError(f"a name at byte {self.at} is longer than {MAX_NAME} characters")
        line = self.text(length)
        self.take(1)
        return line

    # ---- stack ---------------------------------------------------------------------------------

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise TorchFileError("its pickle takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> object:
        self.push(value := self.pop())
        return value

    def since_mark(self) -> list[object]:
        if not self.marks:
            raise TorchFileError("its pickle takes values down to a mark that is missing")
        begin = self.marks.pop()
        values = self.stack[begin:]
        del self.stack[begin:]
        return values

    def keep(self, number: int) -> None:
        self.memo[number] = self.top()
        if len(self.memo) > MAX_MEMO:
            raise TorchFileError(f"its pickle keeps more than {MAX_MEMO} objects")

    def kept(self, number: int) -> None:
        if number not in self.memo:
            raise TorchFileError(f"its pickle uses object {number}, which it has not kept")
        self.push(self.memo[number])

    def last(self, count: int) -> tuple[object, ...]:
        values = [self.pop() for _ in range(count)]
        return tuple(reversed(values))

    # ---- containers and objects ----------------------------------------------------------------

    def set_items(self, pairs: list[object]) -> None:
        target = self.top()
        into = target.items if isinstance(target, Stub) else target
        if not isinstance(into, dict) or len(pairs) % 2:
            raise TorchFileError(f"its pickle sets items of {described(target)}")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            into[plain_key(key)] = value

    def append(self, values: list[object]) -> None:
        target = self.top()
        into = target.elements if isinstance(target, Stub) else target
        if not isinstance(into, list):
            raise TorchFileError(f"its pickle appends to {described(target)}")
        into.extend(values)

    def name(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TorchFileError("its pickle names a class by something that is no string")
        if len(module) + len(name) > MAX_NAME:
            raise TorchFileError(f"a class's name is longer than {MAX_NAME} characters")
        root = module.partition(".")[0]
        if (module in LIBRARY or root in LIBRARY) and name not in NAMED.get(module, ()):
            raise TorchFileError(f"it names {shown(f'{module}.{name}')}, which is no data")
        self.push(Global(module, name))

    def name_from_stack(self) -> None:
        module, name = self.last(2)
        self.name(module, name)

    def call(self) -> None:
        function, args = self.last(2)
        if not isinstance(function, Global) or not isinstance(args, tuple):
            raise TorchFileError(f"its pickle calls {described(function)}")
        self.push(self.maker.call(function, args))

    def new_object(self, keywords: bool) -> None:
        cls, args, named = self.last(3) if keywords else (*self.last(2), {})
        plain = isinstance(args, tuple) and isinstance(named, dict) and not (args or named)
        if not isinstance(cls, Global) or not plain:
            raise TorchFileError(
                f"it makes an object of {described(cls)} with arguments, expected none"
            )
        self.push(Stub(cls))

    def build(self) -> None:
        """Sets an object's state; that of a dict or a tensor means nothing here."""
        state = self.pop()
        target = self.top()
        if isinstance(target, Stub):
            target.state = state
        elif isinstance(target, (Global, str, int, float, tuple, type(None))):
            raise TorchFileError(f"its pickle sets the state of {described(target)}")

    def persistent(self) -> None:
        self.push(self.maker.persistent(self.pop()))

    def frame(self) -> None:
        length = self.whole(8)
        if length > len(self.data) - self.at:
            raise TorchFileError(f"a frame of its pickle has {length} bytes, more than are left")

    def version(self) -> None:
        found = self.take(1)[0]
        if not 2 <= found <= 5:
            raise TorchFileError(f"its pickle has protocol {found}, expected 2 to 5")


def _check_shape(root: object) -> None:
    """Raises TorchFileError for a value that holds itself, or is nested deeper than MAX_DEPTH."""
    heights: dict[int, int] = {}  # levels of the containers that are done
    path: list[tuple[int, Iterator[object], list[int]]] = []
    on_path: set[int] = set()

    def enter(value: object) -> None:
        path.append((id(value), iter(_inside(value)), [0]))
        on_path.add(id(value))
        if len(path) > MAX_DEPTH:
            raise TorchFileError(f"its values are nested deeper than {MAX_DEPTH} levels")

    if isinstance(root, _CONTAINERS):
        enter(root)
    while path:
        identity, values, height = path[-1]
        for value in values:
            if not isinstance(value, _CONTAINERS):
                continue
            if id(value) in on_path:
                raise TorchFileError(f"a {type(value).__name__} in it holds itself")
            if id(value) not in heights:
                enter(value)
                break
            height[0] = max(height[0], heights[id(value)])
        else:
            path.pop()
            on_path.remove(identity)
            heights[identity] = height[0] + 1
            if len(path) + heights[identity] > MAX_DEPTH:
                raise TorchFileError(f"its values are nested deeper than {MAX_DEPTH} levels")
            if path:
                path[-1][2][0] = max(path[-1][2][0], heights[identity])


_CONTAINERS = (dict, list, tuple, Stub)


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, Stub):
        yield from (value.args, value.state, value.items, value.elements)
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, (list, tuple)):
        yield from value


# ---- opcodes -----------------------------------------------------------------------------------

STOP = ord(".")
_Step = Callable[[_Machine], None]
STEPS: dict[int, _Step] = {
    0x80: _Machine.version,
    0x95: _Machine.frame,
    ord("("): lambda m: m.marks.append(len(m.stack)),
    # values
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("K"): lambda m: m.push(m.whole(1)),
    ord("M"): lambda m: m.push(m.whole(2)),
    ord("J"): lambda m: m.push(m.signed(4)),
    0x8A: lambda m: m.push(m.long(m.whole(1))),
    0x8B: lambda m: m.push(m.long(m.whole(4))),
    ord("G"): lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    ord("X"): lambda m: m.push(m.text(m.whole(4))),
    0x8C: lambda m: m.push(m.text(m.whole(1))),
    0x8D: lambda m: m.push(m.text(m.whole(8))),
    ord("U"): lambda m: m.push(m.text_or_bytes(m.whole(1))),
    ord("T"): lambda m: m.push(m.text_or_bytes(m.whole(4))),
    ord("C"): lambda m: m.push(bytes(m.take(m.whole(1)))),
    ord("B"): lambda m: m.push(bytes(m.take(m.whole(4)))),
    0x8E: lambda m: m.push(bytes(m.take(m.whole(8)))),
    # containers
    ord("}"): lambda m: m.push({}),
    ord("]"): lambda m: m.push([]),
    ord(")"): lambda m: m.push(()),
    0x8F: lambda m: m.push(Stub(Global("builtins", "set"))),
    0x91: lambda m: m.push(Stub(Global("builtins", "frozenset"), (m.since_mark(),))),
    ord("t"): lambda m: m.push(tuple(m.since_mark())),
    0x85: lambda m: m.push(m.last(1)),
    0x86: lambda m: m.push(m.last(2)),
    0x87: lambda m: m.push(m.last(3)),
    ord("a"): lambda m: m.append([m.pop()]),
    ord("e"): lambda m: m.append(m.since_mark()),
    0x90: lambda m: m.append(m.since_mark()),
    ord("s"): lambda m: m.set_items(list(m.last(2))),
    ord("u"): lambda m: m.set_items(m.since_mark()),
    # memo
    ord("q"): lambda m: m.keep(m.whole(1)),
    ord("r"): lambda m: m.keep(m.whole(4)),
    0x94: lambda m: m.keep(len(m.memo)),
    ord("h"): lambda m: m.kept(m.whole(1)),
    ord("j"): lambda m: m.kept(m.whole(4)),
    # names and objects
    ord("c"): lambda m: m.name(m.line(), m.line()),
    0x93: _Machine.name_from_stack,
    ord("R"): _Machine.call,
    0x81: lambda m: m.new_object(keywords=False),
    0x92: lambda m: m.new_object(keywords=True),
    ord("b"): _Machine.build,
    ord("Q"): _Machine.persistent,
}

REFUSED = {
    ord("i"): "INST, which makes an object",
    ord("o"): "OBJ, which makes an object",
    0x82: "EXT1 of the extension registry",
    0x83: "EXT2 of the extension registry",
    0x84: "EXT4 of the extension registry",
    ord("P"): "PERSID of protocol 0",
    0x97: "NEXT_BUFFER, which takes data from outside",
    0x98: "READONLY_BUFFER, which takes data from outside",
}


def _refused(opcode: int) -> str:
    name = REFUSED.get(opcode, f"{opcode:#04x}")
    return f"its pickle has opcode {name}, expected those of data in protocols 2 to 5"
