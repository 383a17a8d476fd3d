"""A machine that reads the pickles inside torch's files, and cannot do anything else.

A pickle is a program for a small machine with a stack and a memo: push a string, push a number, make a
tuple of what lies above the mark, store the top under number 7. Two of its instructions make it dangerous:
GLOBAL pushes *any function of any installed module*, and REDUCE calls it. `pickle.load` obeys; a file
that says ``os.system`` runs a command. Here GLOBAL pushes no function, only a name from a short list, and
REDUCE knows three of these names and does by hand what they mean. The other instructions, fewer than
forty, build plain data. Whatever is not listed is refused, so no code of the file's choice can run.

One tensor is, in the order of the file (``python -m pickletools data.pkl`` prints it)::

    BINUNICODE 'conv1.weight'                       its name, a key of the dict being built
    GLOBAL     'torch._utils _rebuild_tensor_v2'
    MARK
      MARK 'storage'  GLOBAL 'torch FloatStorage'  '0' 'cpu' 9408  TUPLE
      BINPERSID                                     "these bytes lie outside, under key 0"
      BININT1 0                                     offset of the tensor in the storage, in numbers
      (64, 3, 7, 7)  (147, 49, 7, 1)                its size, and how many numbers lie between neighbours
      NEWFALSE  OrderedDict()                       requires_grad, hooks: of no interest here
    TUPLE
    REDUCE                                          call: a tensor

The machine is a loop, not a recursion, and its memory is bounded by the length of the program: nesting
that is deep, and a memo that doubles and doubles, cost it nothing.
"""

import pickletools
import struct
from typing import NamedTuple

from ..files import Unreadable

MAX_INSTRUCTIONS = 1_000_000  # a Mask R-CNN on ResNet-101 has twenty thousand
STORAGE_DTYPES = {  # torch's storage classes, little-endian on disk
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
FUNCTIONS = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"}
ALLOWED_NAMES = FUNCTIONS | {f"torch {name}" for name in STORAGE_DTYPES}


class Name(NamedTuple):
    """A global that the pickle mentions; a label, nothing that could be called."""

    text: str


class Storage(NamedTuple):
    """A run of numbers outside the pickle; `dtype` is a NumPy dtype code or "bfloat16"."""

    key: str
    dtype: str
    count: int


class Tensor(NamedTuple):
    """A tensor as the pickle describes it; nothing of it has been judged yet."""

    storage: Storage
    offset: int
    size: tuple
    stride: tuple


class Unpickled(NamedTuple):
    """The object, the position behind its pickle, and all storages that were mentioned, by key."""

    value: object
    end: int
    storages: dict


def unpickle(data, start=0):
    """Run the pickle that begins at `data[start]`.

    Parameters
    ----------
    data : bytes
    start : int

    Returns
    -------
    unpickled : Unpickled
        Its value consists of None, bool, int, float, str, tuple, list, dict, `Name`, `Storage`, `Tensor`.

    Raises
    ------
    Unreadable
        If the pickle is cut short, is malformed, or wants anything that a state dict does not need.
    """
    machine = _Machine(data, start)
    for _ in range(MAX_INSTRUCTIONS):
        code = machine.take(1)
        if code == b".":  # STOP
            return Unpickled(machine.pop(), machine.position, machine.storages)
        instruction = INSTRUCTIONS.get(code)
        if instruction is None:
            opcode = pickletools.code2op.get(code.decode("latin-1"))
            raise Unreadable(f"its pickle has the instruction {opcode.name if opcode else code.hex()}, "
                             "which no state dict needs; expected a state dict in pickle protocol 2")
        instruction(machine)
    raise Unreadable(f"its pickle has more than {MAX_INSTRUCTIONS} instructions; expected a state dict")


class _Machine:
    """The program, the stack, the marks in it, the memo."""

    def __init__(self, data, position):
        self.data, self.position = data, position
        self.stack, self.marks, self.memo, self.storages = [], [], {}, {}

    def take(self, count):
        """Return the next bytes of the program."""
        end = self.position + count
        if end > len(self.data):
            raise Unreadable(f"incomplete or damaged: its pickle wants {count} bytes where "
                             f"{len(self.data) - self.position} are left")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, layout):
        """Return the next number, in `struct`'s notation."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self):
        """Return the text up to the next line end."""
        end = self.data.find(b"\n", self.position, self.position + 256)
        text = self.take((end if end >= 0 else self.position + 256) - self.position)
        self.take(1)
        return text.decode("utf-8", "replace")

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        """Take the top off the stack, but not through a mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise Unreadable("damaged: its pickle takes from an empty stack")
        return self.stack.pop()

    def pop_to_mark(self):
        """Take all that lies above the last mark."""
        if not self.marks:
            raise Unreadable("damaged: its pickle has no mark where it needs one")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def pop_tuple(self, count):
        return tuple([self.pop() for _ in range(count)][::-1])

    def top(self, kind):
        """Look at the top of the stack, which has to be of exactly this type."""
        value = self.pop()
        if type(value) is not kind:
            raise Unreadable(f"damaged: its pickle treats a {type(value).__name__} as a {kind.__name__}")
        self.push(value)
        return value

    def memoize(self, index):
        value = self.pop()
        self.push(value)
        self.memo[index] = value

    def recall(self, index):
        if index not in self.memo:
            raise Unreadable(f"damaged: its pickle recalls number {index}, which it did not store")
        self.push(self.memo[index])

    def set_items(self, items):
        target = self.top(dict)
        if len(items) % 2:
            raise Unreadable("damaged: its pickle has a key without a value")
        for key, value in zip(items[::2], items[1::2]):
            if type(key) not in (str, int):
                raise Unreadable(f"its pickle has a {type(key).__name__} as a key; expected names")
            if key in target:
                raise Unreadable(f"has two entries named {key!r}; expected every name once")
            target[key] = value


def _proto(machine):
    version = machine.number("<B")
    if version != 2:
        raise Unreadable(f"its pickle is of protocol {version}; expected 2, as torch.save writes by default")


def _global(machine):
    text = f"{machine.line()} {machine.line()}"
    if text not in ALLOWED_NAMES:
        raise Unreadable(
            f"its pickle asks for {text.replace(' ', '.')!r}, which weights do not need and was not run; "
            "expected nothing but tensors, as torch.save(model.state_dict(), path) writes"
        )
    machine.push(Name(text))


def _reduce(machine):
    arguments, function = machine.pop(), machine.pop()
    if type(function) is not Name or type(arguments) is not tuple:
        raise Unreadable("damaged: its pickle calls something that is not a function")
    machine.push(_call(function.text, arguments))


def _call(function, arguments):
    """Do by hand what the three allowed functions would do."""
    if function == "collections OrderedDict" and arguments == ():
        return {}
    first = type(arguments[0]) if arguments else None
    if function == "torch._utils _rebuild_tensor_v2" and first is Storage and len(arguments) in (6, 7):
        return Tensor(*arguments[:4])  # storage, offset, size, stride; then requires_grad, hooks, metadata
    if function == "torch._utils _rebuild_parameter" and first is Tensor and len(arguments) == 3:
        return arguments[0]  # then requires_grad, hooks
    raise Unreadable(f"damaged: its pickle calls {function.split()[1]} with arguments that it does not take")


def _persistent_id(machine):
    """Turn ``('storage', class, key, device, count)``, in old files with a None behind, into a `Storage`."""
    fields = machine.pop()
    if type(fields) is not tuple or len(fields) not in (5, 6) or fields[5:] not in ((), (None,)):
        raise Unreadable("its pickle refers to something outside that is not a storage of numbers")
    _, kind, key, _, count = fields[:5]
    dtype = STORAGE_DTYPES.get(kind.text.split()[1]) if type(kind) is Name else None
    is_decimal = type(key) is str and key.isascii() and key.isdecimal()
    if fields[0] != "storage" or dtype is None or not is_decimal or type(count) is not int or count < 0:
        raise Unreadable("its pickle describes a storage by something else than class, decimal key and count")
    storage = machine.storages.setdefault(key, Storage(key, dtype, count))
    if storage != Storage(key, dtype, count):
        raise Unreadable(f"its pickle describes storage {key} in two ways")
    machine.push(storage)


def _build(machine):
    """Set attributes: torch hangs the layout versions, ``_metadata``, on the dict; not needed here."""
    state = machine.pop()
    machine.top(dict)
    if type(state) is not dict or set(state) != {"_metadata"}:
        raise Unreadable("its pickle sets attributes of an object; expected a plain state dict")


INSTRUCTIONS = {
    b"\x80": _proto,
    b"(": lambda m: m.marks.append(len(m.stack)),  # MARK
    # numbers and text
    b"N": lambda m: m.push(None),  # NONE
    b"\x88": lambda m: m.push(True),  # NEWTRUE
    b"\x89": lambda m: m.push(False),  # NEWFALSE
    b"K": lambda m: m.push(m.number("<B")),  # BININT1
    b"M": lambda m: m.push(m.number("<H")),  # BININT2
    b"J": lambda m: m.push(m.number("<i")),  # BININT
    b"\x8a": lambda m: m.push(int.from_bytes(m.take(m.number("<B")), "little", signed=True)),  # LONG1
    b"G": lambda m: m.push(m.number(">d")),  # BINFLOAT
    b"X": lambda m: m.push(m.take(m.number("<I")).decode("utf-8", "replace")),  # BINUNICODE
    # containers
    b")": lambda m: m.push(()),  # EMPTY_TUPLE
    b"\x85": lambda m: m.push(m.pop_tuple(1)),  # TUPLE1
    b"\x86": lambda m: m.push(m.pop_tuple(2)),  # TUPLE2
    b"\x87": lambda m: m.push(m.pop_tuple(3)),  # TUPLE3
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),  # TUPLE
    b"]": lambda m: m.push([]),  # EMPTY_LIST
    b"a": lambda m: (lambda item: m.top(list).append(item))(m.pop()),  # APPEND
    b"e": lambda m: (lambda items: m.top(list).extend(items))(m.pop_to_mark()),  # APPENDS
    b"}": lambda m: m.push({}),  # EMPTY_DICT
    b"s": lambda m: m.set_items(m.pop_tuple(2)),  # SETITEM
    b"u": lambda m: m.set_items(m.pop_to_mark()),  # SETITEMS
    # the memo
    b"q": lambda m: m.memoize(m.number("<B")),  # BINPUT
    b"r": lambda m: m.memoize(m.number("<I")),  # LONG_BINPUT
    b"h": lambda m: m.recall(m.number("<B")),  # BINGET
    b"j": lambda m: m.recall(m.number("<I")),  # LONG_BINGET
    # what is dangerous elsewhere
    b"c": _global,
    b"R": _reduce,
    b"Q": _persistent_id,
    b"b": _build,
}
