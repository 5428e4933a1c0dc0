"""The errors that a user can cause, each one plain sentence: what, where, and how to mend it.

The command line turns any `EvoliftError` into its message and exit code 2. Everything else that
escapes is a defect of ours and shows its traceback.
"""

import contextlib
import re
from collections.abc import Iterator

_LONGEST = 900
"""Characters of a sentence; longer ones quote a file, and begin with its name and end with the mend."""
_FOREIGN = re.compile(
    r"\b\w*(?:Error|Exception|Warning)\b|Traceback|<class |object at 0x|NoneType|dtype\(|np\.\w+\(|array\(\[|[Ee]xpected `"
    r"|invalid literal for|could not convert|not subscriptable|unsupported operand|list ind|unhashable|has no attribute"
    r"|unexpected keyword|weights_only|pickle"
)


class EvoliftError(Exception):
    """Base of all errors that the user can mend.

    What a message quotes of files and their names may be anything: it is shortened, and characters that a terminal would not
    print, or would obey, are escaped.
    """

    def __init__(self, message: str = "") -> None:
        # A worker of torch's DataLoader hands an error over as one of the same class whose message is its traceback.
        if message.startswith("Caught ") and "Original Traceback" in message:
            message = message.rpartition(f"{type(self).__module__}.{type(self).__name__}: ")[2].rstrip()
        if not message.isprintable():
            message = "".join(one if one.isprintable() else repr(one)[1:-1] for one in message)
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST * 2 // 3 - 5]} ... {message[-_LONGEST // 3 :]}"
        super().__init__(message)


@contextlib.contextmanager
def within(where: str) -> Iterator[None]:
    """Let errors of the block name a file or place, where they do not: what they are of does not know where it is from.

    Raises:
        EvoliftError: of the class of the error.
    """
    try:
        yield
    except EvoliftError as error:
        if where in str(error):
            raise
        raise type(error)(f"{where}: {error}") from None


def reason_of(error: BaseException) -> str:
    """What another library says of a damaged file, short and on one line, if it is a sentence for users."""
    reason = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())[
        :200
    ]
    return "its bytes make no sense" if not reason or _FOREIGN.search(reason) else reason


class InputError(EvoliftError):
    """A file or an option that the user gave cannot be used."""


class StoreError(EvoliftError):
    """A pose store is damaged, incomplete, of another skeleton or of another version."""


class CheckpointError(EvoliftError):
    """A checkpoint is damaged, of another stage, or does not fit what it is asked to do."""


class OutputError(EvoliftError):
    """The output exists already, or cannot be written."""
