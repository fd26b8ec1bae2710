# SPDX-License-Identifier: LGPL-2.1-or-later
"""Module parameters as the kernel itself reads them.

The kernel gets all options of a module as one string, splits it (lib/cmdline.c, next_arg) and hands
each value to its parameter's type (kernel/params.c, lib/kstrtox.c). The kernel ignores an unknown
parameter with a warning; a value that the type rejects fails the whole load.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

# The kernel's isspace(), which includes Latin-1's no-break space (lib/ctype.c).
WHITE_SPACE = b"\t\n\v\f\r \xa0"

_TOKEN = re.compile(rb'(?:[^"\t\n\v\f\r \xa0]+|"[^"]*(?:"|\Z))+')


@dataclass(frozen=True)
class Parameter:
    """One `NAME`, `NAME=VALUE`, `NAME="VALUE"` or `"NAME=VALUE"` of an options string."""

    name: bytes  # unchanged: '-' and '_' are the same to the kernel
    value: bytes | None  # without quotes; None without '='
    start: int  # offsets in the string, quotes included
    end: int
    open_quote: bool  # an unclosed quote: this parameter extends to the end of the string

    @property
    def key(self) -> bytes:
        """The name with '_' in place of '-', for comparison."""
        return self.name.replace(b"-", b"_")

    @property
    def is_end_mark(self) -> bool:
        """Whether this is the `--` after which the kernel ignores everything."""
        return self.name == b"--" and self.value is None


def tokens(text: bytes) -> Iterator[Parameter]:
    """All words of an options string; `--` is not special here."""
    for found in _TOKEN.finditer(text.partition(b"\0")[0]):
        yield _parameter(found.group(), found.start())


def split(text: bytes) -> tuple[Parameter, ...]:
    """The parameters that the kernel sees in an options string, in order: those before a `--`."""
    parameters = []
    for parameter in tokens(text):
        if parameter.is_end_mark:
            break
        parameters.append(parameter)
    return tuple(parameters)


def _parameter(token: bytes, start: int) -> Parameter:
    quoted = token.startswith(b'"')
    body = token[1:] if quoted else token
    # A leading '=' is not a separator.
    equals = body.find(b"=", 1)
    name, value = (body, None) if equals < 0 else (body[:equals], body[equals + 1 :])
    # A closing quote pairs with one at the start of the value or token, but only once.
    if value is not None and value.startswith(b'"'):
        value = value[1:-1] if value.endswith(b'"') else value[1:]
    elif quoted and value is not None and value.endswith(b'"'):
        value = value[:-1]
    elif quoted and value is None and name.endswith(b'"'):
        name = name[:-1]
    return Parameter(name, value, start, start + len(token), token.count(b'"') % 2 == 1)


class ParameterType(Enum):
    """A parameter's declared type; the values are modinfo(8)'s names for it."""

    BOOL = "bool"
    INVBOOL = "invbool"
    BINT = "bint"
    BYTE = "byte"
    SHORT = "short"
    USHORT = "ushort"
    INT = "int"
    UINT = "uint"
    HEXINT = "hexint"
    LONG = "long"
    ULONG = "ulong"
    ULLONG = "ullong"
    CHARP = "charp"
    STRING = "string"
    BOOL_ARRAY = "array of bool"
    INVBOOL_ARRAY = "array of invbool"
    BINT_ARRAY = "array of bint"
    BYTE_ARRAY = "array of byte"
    SHORT_ARRAY = "array of short"
    USHORT_ARRAY = "array of ushort"
    INT_ARRAY = "array of int"
    UINT_ARRAY = "array of uint"
    HEXINT_ARRAY = "array of hexint"
    LONG_ARRAY = "array of long"
    ULONG_ARRAY = "array of ulong"
    ULLONG_ARRAY = "array of ullong"
    CHARP_ARRAY = "array of charp"
    # Declared as bool or not at all, but parsed by KVM's own code.
    NX_HUGE_PAGES = "kvm.nx_huge_pages"
    L1D_FLUSH = "kvm_intel.vmentry_l1d_flush"
    # Not declared, or of an unknown type.
    UNKNOWN = ""


# A kernel's major and minor version. RHEL's kernels keep the version that they are based on.
KernelVersion = tuple[int, int]

_RANGES = {
    ParameterType.BYTE: (0, 2**8 - 1),
    ParameterType.SHORT: (-(2**15), 2**15 - 1),
    ParameterType.USHORT: (0, 2**16 - 1),
    ParameterType.INT: (-(2**31), 2**31 - 1),
    ParameterType.UINT: (0, 2**32 - 1),
    ParameterType.HEXINT: (0, 2**32 - 1),
    ParameterType.LONG: (-(2**63), 2**63 - 1),
    ParameterType.ULONG: (0, 2**64 - 1),
    ParameterType.ULLONG: (0, 2**64 - 1),
}
_BOOLEANS = (ParameterType.BOOL, ParameterType.INVBOOL, ParameterType.BINT)
_LONGEST_CHARP = 1024
_ARRAY_OF = "array of "

# kstrtoint() and similar with base 0; one final line feed is allowed.
_SIGNED = re.compile(rb"([-+]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))\n?")
_UNSIGNED = re.compile(rb"(\+?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))\n?")

# kstrtobool() looks at the first byte, and after an 'o' at the second. true/false (0d6ea3ac94ca)
# and enabled/disabled (ae5b3500856f) are listed with the kernels that introduced them.
_BOOLEAN_WORDS: tuple[tuple[KernelVersion, bytes, bool], ...] = (
    ((0, 0), b"1yY", True),
    ((0, 0), b"0nN", False),
    ((5, 19), b"tT", True),
    ((5, 19), b"fF", False),
    ((6, 16), b"eE", True),
    ((6, 16), b"dD", False),
)
_NEWEST = (99, 0)

# In addition to a bool's words, which include "off" and, on kernels without it, "never".
_NX_WORDS = (b"force", b"auto")
_L1D_WORDS = (b"auto", b"never", b"cond", b"always")


def parameter_type(declared: str, *, module: str = "", parameter: str = "") -> ParameterType:
    """The type named by modinfo(8)'s parmtype field: "bool", "int", "array of int", "charp".

    With MODULE and PARAMETER, the few that KVM parses with its own code get their own type.
    Any other type is UNKNOWN.
    """
    for name in (f"{module}.{parameter}", declared):
        try:
            return ParameterType(name)
        except ValueError:
            continue
    return ParameterType.UNKNOWN


def accepts(
    type_: ParameterType, value: bytes | None, *, kernel: KernelVersion | None = None
) -> bool:
    """Whether the parameter's type accepts the value; None is the bare name.

    KERNEL is the version that will load the module. Without it, only values that every kernel
    accepts pass, as required of values to be written. Not checked: an array's maximum length, a
    string's buffer size, and the module's own checks. UNKNOWN accepts everything.
    """
    if type_ is ParameterType.UNKNOWN:
        return True
    if value is None:
        return type_ in (ParameterType.BOOL, ParameterType.BINT)
    if type_.value.startswith(_ARRAY_OF):
        element = ParameterType(type_.value[len(_ARRAY_OF) :])
        return all(accepts(element, item, kernel=kernel) for item in value.split(b","))
    if type_ in _RANGES:
        return number(type_, value) is not None
    if type_ in _BOOLEANS:
        return _boolean(value, kernel) is not None
    if type_ is ParameterType.NX_HUGE_PAGES:
        word = value[:-1] if value.endswith(b"\n") else value
        return word in _NX_WORDS or _boolean(value, kernel) is not None
    if type_ is ParameterType.L1D_FLUSH:
        return (value[:-1] if value.endswith(b"\n") else value) in _L1D_WORDS
    return type_ is ParameterType.STRING or len(value) <= _LONGEST_CHARP


def truth(
    type_: ParameterType, value: bytes | None, *, kernel: KernelVersion | None = None
) -> bool | None:
    """Whether a switch like `nested` is on, given its value in an options line or in sysfs.

    None if a load with this value would fail, or if the type is not a switch. UNKNOWN takes Y, N
    and numbers, as shown by sysfs. KERNEL is as in accepts().
    """
    if value is None:
        return True if accepts(type_, None) and type_ is not ParameterType.UNKNOWN else None
    if type_ in _BOOLEANS:
        return _boolean(value, kernel)
    if type_ is ParameterType.UNKNOWN:
        shown = {b"Y": True, b"N": False}
        return shown.get(value.rstrip(b"\n"), truth(ParameterType.INT, value))
    found = number(type_, value)
    return None if found is None else found != 0


def number(type_: ParameterType, value: bytes) -> int | None:
    """The number that the kernel reads; None if it rejects VALUE or TYPE_ is not an integer."""
    if type_ not in _RANGES:
        return None
    lowest, highest = _RANGES[type_]
    found = (_SIGNED if lowest < 0 else _UNSIGNED).fullmatch(value)
    if found is None:
        return None
    sign, hexadecimal, octal, decimal = found.groups()
    digits, base = (hexadecimal, 16) if hexadecimal else (octal, 8) if octal else (decimal, 10)
    if len(digits.lstrip(b"0")) > 22:  # 2**64 has 22 octal digits; spare int() a megabyte of them
        return None
    result = int(digits, base) * (-1 if sign == b"-" else 1)
    return result if lowest <= result <= highest else None


def _boolean(value: bytes, kernel: KernelVersion | None) -> bool | None:
    first, second = value[:1], value[1:2]
    if first in (b"o", b"O") and second:
        return True if second in b"nN" else False if second in b"fF" else None
    for since, letters, meaning in _BOOLEAN_WORDS:
        if first and first in letters and (kernel or (0, 0)) >= since:
            return meaning
    return None
