"""Reading the pickles inside torch's files with Python's own machine, of which only the harmless parts are left.

A pickle is a program for a small machine with a stack and a memo: push a string, push a number, make a
tuple of what lies above the mark, store the top under number 7. Two kinds of instruction make it dangerous:
GLOBAL pushes *any function or class of any installed module*, and REDUCE, NEWOBJ and BUILD call it. `pickle.load`
obeys; a file that says ``os.system`` runs a command. Here GLOBAL pushes no function, only its name, and REDUCE knows
three names and does by hand what they mean. Any other call is not made: in place of its result lies an `Unknown`, a
blank with that name on it, and whatever the file then puts into it is lost. So a checkpoint may hold a training's
arguments and schedules beside its weights, and only where a weight should be is a blank refused. The other
instructions, some thirty, build plain data, and those that are not listed are refused. No code of the file's choice
can run.

One tensor is, in the order of the file (``python -m pickletools data.pkl`` prints it)::

    BINUNICODE 'conv1.weight'                       its name, a key of the dict being built
    GLOBAL     'torch._utils _rebuild_tensor_v2'
    MARK
      MARK 'storage'  GLOBAL 'torch FloatStorage'  '0' 'cpu' 9408  TUPLE
      BINPERSID                                     "these bytes lie outside, under key 0"
      BININT1 0                                     offset of the tensor in the storage, in numbers
      (64, 3, 7, 7)  (147, 49, 7, 1)                its size, and how many numbers lie between neighbors
      NEWFALSE  OrderedDict()                       requires_grad, hooks: of no interest here
    TUPLE
    REDUCE                                          call: a tensor

Python has this machine twice. The fast one, in C, keeps its memo in an array as long as the largest number that a
file stores under, so that nine bytes can take gigabytes. The one in Python, `pickle._Unpickler`, keeps it in a dict,
and is a loop, not a recursion: its memory is bounded by the length of the program, however deep things are nested.
"""

import io
import pickle
import pickletools
from typing import NamedTuple

import numpy as np

from ..files import Unreadable
from .arrays import BFLOAT16

MAX_PICKLE = 8 << 20  # bytes; a full Mask R-CNN needs 40 thousand
MAX_STEPS = 1_000_000  # reading an instruction or what belongs to it; a Mask R-CNN on ResNet-101 has forty thousand
STORAGE_DTYPES = {  # torch's storage classes, little-endian on disk
    "torch.FloatStorage": "<f4", "torch.DoubleStorage": "<f8", "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": BFLOAT16, "torch.LongStorage": "<i8", "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2", "torch.CharStorage": "i1", "torch.ByteStorage": "u1", "torch.BoolStorage": "?",
}
FUNCTIONS = {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"}
ALLOWED_INSTRUCTIONS = """
    PROTO MARK STOP  NONE NEWTRUE NEWFALSE BININT1 BININT2 BININT LONG1 BINFLOAT BINUNICODE
    EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE  EMPTY_LIST APPEND APPENDS  EMPTY_DICT SETITEM SETITEMS
    BINPUT LONG_BINPUT BINGET LONG_BINGET  GLOBAL REDUCE NEWOBJ BUILD  BINPERSID
"""


class Name(NamedTuple):
    """A global that the pickle mentions; a label, nothing that could be called."""

    text: str


class Unknown:
    """A blank in the place of what was not made; no two are equal, so that any number can be keys of a dict."""

    def __init__(self, text):
        self.text = text  # the name of what would have made it

    def append(self, item):
        """Lose what APPEND puts into a list."""

    extend = append  # APPENDS


class Storage(NamedTuple):
    """A run of numbers outside the pickle."""

    key: str
    dtype: np.dtype
    count: int

    @property
    def num_bytes(self):
        """How many bytes its numbers take."""
        return self.count * self.dtype.itemsize


class Tensor(NamedTuple):
    """A tensor as the pickle describes it; nothing of it has been judged yet."""

    storage: Storage
    offset: int
    size: tuple
    stride: tuple


class Program(io.BytesIO):
    """The bytes of one pickle or of several in a row; to read beyond their end is an error."""

    steps = 0

    def read(self, count):
        """Return exactly so many bytes."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise Unreadable(f"its pickle has more than {MAX_STEPS} steps; expected a state dict")
        taken = super().read(count)
        if len(taken) < count:
            raise Unreadable(f"incomplete or damaged: its pickle wants {count} bytes where {len(taken)} are left")
        return taken

    def readline(self):
        """Return the bytes up to the next line end, with it."""
        line = super().readline()
        if not line.endswith(b"\n"):
            raise Unreadable("incomplete or damaged: its pickle ends within a name")
        return line


def unpickle(program):
    """Run the next pickle of a program.

    Parameters
    ----------
    program : Program
        Stands behind the pickle afterwards.

    Returns
    -------
    value : object
        Consists of None, bool, int, float, str, tuple, list, dict, `Name`, `Unknown`, `Storage`,
        `Tensor`.
    storages : dict of str to Storage
        All that were mentioned, by key.

    Raises
    ------
    Unreadable
        If the pickle is cut short, is malformed, or wants anything that a state dict does not need.
    """
    machine = _StateUnpickler(program)
    try:
        return machine.load(), machine.storages
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # a damaged pickle may raise anything, as the documentation of pickle says
        raise Unreadable(f"damaged: its pickle goes wrong before byte {program.tell()} ({error})") from None


class _Instructions(dict):
    """Number of an instruction -> method that follows it; any other is refused by its name."""

    def __missing__(self, number):
        opcode = pickletools.code2op.get(chr(number))
        raise Unreadable(f"its pickle has the instruction {opcode.name if opcode else f'{number:02x}'}, "
                         "which no state dict needs; expected a state dict in pickle protocol 2")


class _StateUnpickler(pickle._Unpickler):
    """The standard library's machine; what it does too readily is done here in another way, and most not at all."""

    dispatch = _Instructions()  # the library's table, filled below

    def __init__(self, program):
        super().__init__(program)
        self.storages = {}

    def load_proto(self):
        super().load_proto()
        if self.proto != 2:
            raise Unreadable(f"its pickle is of protocol {self.proto}; expected 2, as torch.save writes by default")

    def load_binunicode(self):
        """Push a text; unlike the library's, no half of a character passes, which could not be written again."""
        self.append(self.read(int.from_bytes(self.read(4), "little")).decode("utf-8"))

    def load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def load_setitems(self):
        self._set_items(self.pop_mark())

    def _set_items(self, items):
        """Put keys and values in turn into the dict on top; unlike the library's, no key takes another's place."""
        target = self.stack[-1]
        if type(target) is Unknown:
            return
        if type(target) is not dict:
            raise Unreadable(f"damaged: its pickle treats a {type(target).__name__} as a dict")
        if len(items) % 2:
            raise Unreadable("damaged: its pickle has a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, int):  # to hash a pair of pairs of pairs can take for ever
                key = Unknown(type(key).__name__)
            if key in target:
                raise Unreadable(f"has two entries named {key!r}; expected every name once")
            target[key] = value

    def find_class(self, module, name):
        """Return what GLOBAL pushes: a label."""
        return Name(f"{module}.{name}")

    def load_reduce(self):
        """Do by hand what the three known functions would do, and call nothing."""
        function, arguments = self._pop_call()
        first = type(arguments[0]) if arguments else None
        if function not in FUNCTIONS and function not in STORAGE_DTYPES:
            self.append(Unknown(function))
        elif function == "collections.OrderedDict" and not arguments:
            self.append({})
        elif function == "torch._utils._rebuild_tensor_v2" and first is Storage and len(arguments) in (6, 7):
            self.append(Tensor(*arguments[:4]))  # storage, offset, size, stride; then requires_grad, hooks, metadata
        elif function == "torch._utils._rebuild_parameter" and first is Tensor and len(arguments) == 3:
            self.append(arguments[0])  # then requires_grad, hooks
        elif first is Unknown:
            self.append(arguments[0])  # a tensor of unknown numbers
        else:
            raise Unreadable(f"damaged: its pickle calls {function.split('.')[-1]} with arguments that it does not "
                             "take")

    def load_newobj(self):
        """Make no object of a class, only a blank."""
        self.append(Unknown(self._pop_call()[0]))

    def _pop_call(self):
        """Pop arguments and function; return the function's name and the arguments."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if type(function) not in (Name, Unknown) or type(arguments) is not tuple:
            raise Unreadable("damaged: its pickle calls something that is not a function")
        return function.text, arguments

    def persistent_load(self, fields):
        """Turn ``('storage', class, key, device, count)``, in old files with a None behind, into a `Storage`.

        One of numbers that NumPy does not have, or has for no weight, becomes an `Unknown`.
        """
        if type(fields) is not tuple or len(fields) not in (5, 6) or fields[5:] not in ((), (None,)):
            raise Unreadable("its pickle refers to something outside that is not a storage of numbers; expected "
                             "nothing but tensors, as torch.save(model.state_dict(), path) writes")
        _, kind, key, _, count = fields[:5]
        is_decimal = type(key) is str and key.isascii() and key.isdecimal()
        if fields[0] != "storage" or type(kind) is not Name or not is_decimal or type(count) is not int or count < 0:
            raise Unreadable("its pickle describes a storage by something else than class, decimal key and count")
        if kind.text not in STORAGE_DTYPES:
            return Unknown(kind.text)
        storage = Storage(key, np.dtype(STORAGE_DTYPES[kind.text]), count)
        if self.storages.setdefault(key, storage) != storage:
            raise Unreadable(f"its pickle describes storage {key} in two ways")
        return storage

    def load_build(self):
        """Set no attribute: torch hangs the layout versions, ``_metadata``, on the dict; not needed here.

        Of a blank all attributes are lost.
        """
        state = self.stack.pop()
        if type(self.stack[-1]) is Unknown:
            return
        if type(self.stack[-1]) is not dict or type(state) is not dict or set(state) != {"_metadata"}:
            raise Unreadable("its pickle sets attributes of an object; expected a plain state dict")


for _name in ALLOWED_INSTRUCTIONS.split():
    _number = getattr(pickle, _name)[0]
    _name_of_method = pickle._Unpickler.dispatch[_number].__name__      # of the library's, or of ours in its place
    _StateUnpickler.dispatch[_number] = getattr(_StateUnpickler, _name_of_method)
