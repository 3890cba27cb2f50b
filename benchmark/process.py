"""The process that a command or a job is: its standard streams, and the signals that end it.

It is imported before anything else, and imports next to nothing: Ctrl-C during the seconds that other imports take
finds it ready.
"""

from __future__ import annotations

import atexit
import codecs
import errno
import io
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn, TextIO

_WORDS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "the terminal is gone",
}
# Whoever forwards a signal (timeout, make, a container's init) may send what the terminal has sent to all already.
_ECHO_S = 0.1
_AGAIN_S = 0.02
_ERRORS = "detboard"
_PLAIN = {"–": "-", "—": "-", "…": "..."}


class OutputLost(BaseException):
    """Standard output takes nothing any more; no error of a file, which others might bear."""


class _End:
    """What has asked the command to end, and whether that was said.

    Attributes:
        signals: Those that were heard, in order.
        lost: Why standard output takes nothing any more.
        closing: The command is over: a signal has nothing left to interrupt.
    """

    def __init__(self) -> None:
        self.signals: list[int] = []
        self.lost: OSError | None = None
        self.closing = False
        self._told = False
        self._heard_at = -math.inf

    @property
    def asked(self) -> bool:
        return bool(self.signals) or self.lost is not None

    @property
    def status(self) -> int:
        if self.signals or self.lost is None:
            return 128 + (self.signals or [signal.SIGINT])[0]
        return 128 + signal.SIGPIPE if self.lost.errno == errno.EPIPE else 1

    @property
    def words(self) -> str:
        if self.signals or self.lost is None:
            return _WORDS[signal.Signals((self.signals or [signal.SIGINT])[0])]
        if self.lost.errno == errno.EPIPE:
            return "standard output is closed"
        return f"error: standard output cannot be written: {self.lost.strerror}"

    def say(self, then: str) -> int:
        if not self._told:
            # Else it was no signal to this process, which may run other commands.
            self._told = self.asked
            with suppress(OSError):
                print(f"{self.words}: {then}", file=sys.stderr, flush=True)
        return self.status

    def hear(self, number: int, _frame: FrameType | None) -> None:
        before, self._heard_at = self._heard_at, time.monotonic()
        if self._heard_at - before < _ECHO_S:
            return
        self.signals.append(number)
        if self.closing or len(self.signals) > 2:
            os._exit(self.say("what was begun may be unfinished"))
        raise KeyboardInterrupt

    def hear_again(self, swallowed: sys.UnraisableHookArgs) -> None:
        """Where a signal was heard while Python cannot raise, in a finalizer, it is sent once more."""
        if not (self.signals and issubclass(swallowed.exc_type, KeyboardInterrupt)):
            sys.__unraisablehook__(swallowed)
            return
        from threading import Timer

        number, self._heard_at = self.signals.pop(), -math.inf
        with suppress(RuntimeError):  # no thread starts while Python ends
            Timer(_AGAIN_S, os.kill, (os.getpid(), number)).start()


_end = _End()


def run(command: Callable[[], None]) -> NoReturn:
    """Runs a command to the end of this process.

    Ctrl-C (SIGINT), SIGTERM and SIGHUP are raised as `KeyboardInterrupt`, unless they were ignored when the process
    was started, as under nohup. However they come out of the command, a line is said and the status is 128 and the
    signal's number. A third one ends the process at once, and so does one that comes when all is done. Where standard
    output is closed, as by ``| head``, nothing is said and the status is that of SIGPIPE; where it cannot be written,
    a line is said and the status is 1.
    """
    code: str | int | None = None
    try:
        open_streams()
        _guard_streams()
        _listen()
        code = _code_of(command)
        sys.stdout.flush()
        _end.closing = True
    except BaseException:
        _end.closing = True
        if not _end.asked:
            raise
    if not _end.asked:
        sys.exit(code)
    piped = not _end.signals and _end.status != 1
    sys.exit(_end.status if piped else _end.say("give the same command again"))


def _code_of(command: Callable[[], None]) -> str | int | None:
    try:
        command()
    except SystemExit as end:
        return end.code
    return None


def asked_to_end() -> bool:
    """Whether a signal has come, or standard output is lost; whoever swallows exceptions may have swallowed it."""
    return _end.asked


def what_ended() -> str:
    """What ends the command, in words: ``interrupted``."""
    return _end.words


def say_ended(then: str) -> int:
    """Says once what ends the command, and what to do then; returns the exit status."""
    return _end.say(then)


def can_ask() -> bool:
    """Whether somebody at a terminal has pressed Ctrl-C, once, and can be asked what is to be done.

    Not where the terminal is another's at the moment: what reads from it in the background is stopped.
    """
    if _end.signals != [signal.SIGINT] or _end.lost is not None:
        return False
    try:
        return os.isatty(0) and os.isatty(2) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def forget_typed() -> None:
    """Drops what was typed at the terminal so far: it answers no question that is asked from now on."""
    import termios

    with suppress(OSError, termios.error):
        termios.tcflush(0, termios.TCIFLUSH)


def ask(question: str) -> str:
    """The line that is answered, without spaces around it and in small letters.

    It is empty after Ctrl-C, at the end of the input, and where the terminal is gone.
    """
    try:
        print(question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower()
    except (KeyboardInterrupt, OSError, ValueError):
        print(file=sys.stderr, flush=True)
        return ""


def open_streams() -> None:
    """Opens those of descriptors 0 to 2 that are closed, on nothing.

    Else the next file or socket that is opened would be the standard input or output of this process and its children.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - a descriptor, open as long as the process


@contextmanager
def signals_held() -> Iterator[None]:
    """Holds back the signals that end a command; a process that is started inside never gets them, nor its children."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WORDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def take_signals() -> None:
    """Has SIGTERM and SIGHUP end a job, which `signals_held` has kept from it, and Ctrl-C not: that is its driver's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WORDS)


def _listen() -> None:
    sys.unraisablehook = _end.hear_again
    atexit.register(_end_undisturbed)  # the first to come is the last to be called
    for number in _WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end.hear)


def _end_undisturbed() -> None:
    """Has signals change no exit status while Python takes itself down, when it has put their defaults back."""
    for number in _WORDS:
        if signal.getsignal(number) == _end.hear:
            signal.signal(number, signal.SIG_IGN)


class _Output(io.FileIO):
    """A standard stream; of one that takes nothing any more the rest goes nowhere."""

    def __init__(self, descriptor: int, vital: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._vital = vital
        self._terminal = self.isatty()

    def write(self, data: io._WriteBuffer) -> int:  # type: ignore[name-defined]
        """Writes all of it, for unbuffered streams drop the rest of what was written in part.

        Where a pipe is full it is waited for, although somebody who shares it may have made it not to block.
        """
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left:
                written = super().write(left)
                if written is None:
                    select.select([], [self], [])
                else:
                    left = left[written:]
        except OSError as error:
            self._lose(error)
        return size

    def _lose(self, error: OSError) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        # A terminal that is gone without a word (SIGHUP is ignored, or the shell has disowned us) is left behind.
        if self._vital and not (self._terminal and error.errno == errno.EIO):
            _end.lost = error
            raise OutputLost from error


def _guard_streams() -> None:
    """Has standard output and error take every character, and say once that they are lost."""
    codecs.register_error(_ERRORS, _plain)
    sys.stdout = _guarded(sys.stdout, 1)
    sys.stderr = _guarded(sys.stderr, 2)


def _guarded(stream: TextIO | None, descriptor: int) -> io.TextIOWrapper:
    raw = _Output(descriptor, vital=descriptor == 1)
    through = bool(getattr(stream, "write_through", False))
    if stream is not None:
        stream.flush()
    return io.TextIOWrapper(
        raw if through else io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors=_ERRORS,
        line_buffering=bool(getattr(stream, "line_buffering", False)),
        write_through=through,
    )


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that a stream's encoding lacks: dashes for dashes, else escapes as in Python."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    escaped = (c.encode("ascii", "backslashreplace").decode() for c in lacking)
    return "".join(map(lambda c, e: _PLAIN.get(c, e), lacking, escaped)), error.end
