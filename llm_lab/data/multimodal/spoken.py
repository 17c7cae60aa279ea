"""Texts that the program espeak-ng speaks, which the user has on his machine; it runs as a process of its own."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from llm_lab import assets
from llm_lab.data.multimodal.made import Made, Reader, RowStep, beside, pair_of
from llm_lab.data.record import Record, Rejected, UnusableError
from llm_lab.errors import ConfigError, DataError

PROGRAM = "espeak-ng"  # fixed: what a configuration names is never run
VOICE = re.compile(r"[A-Za-z0-9][\w+-]*")
SPEEDS = (80, 450)  # words per minute that the program knows


@dataclass(frozen=True)
class Speech(Made):
    """A text with the voice that speaks it, in words per minute, at a pitch from 0 to 99."""

    text: str
    voice: str
    speed: int
    pitch: int
    seconds: float

    def content(self, read: Reader) -> bytes:
        """A wave file; what was spoken once lies in the cache."""
        del read
        told = "\0".join([self.text, self.voice, str(self.speed), str(self.pitch)])
        digest = blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        path = assets.home() / "spoken" / digest[:2] / f"{digest}.wav"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                self._speak(Path(folder) / "spoken.wav").replace(path)
        return path.read_bytes()

    def _speak(self, path: Path) -> Path:
        """Let the program write a file; the text goes to its standard input, never into its arguments."""
        words = [
            PROGRAM,
            "-v",
            self.voice,
            "-s",
            str(self.speed),
            "-p",
            str(self.pitch),
            "-w",
            str(path),
            "--stdin",
        ]
        try:
            done = subprocess.run(
                words, input=self.text.encode(), capture_output=True, timeout=self.seconds, check=False
            )
        except FileNotFoundError:
            raise DataError(
                f"data.source.spoken: the program {PROGRAM} is not installed; `apt-get install {PROGRAM}` on Debian "
                f"and Ubuntu, `brew install {PROGRAM}` on macOS, else see its project's page"
            ) from None
        except (subprocess.TimeoutExpired, UnicodeEncodeError) as error:
            raise UnusableError("cannot be spoken", error) from None
        if done.returncode or not path.is_file() or not path.stat().st_size:
            raise UnusableError("cannot be spoken", done.stderr.decode("utf-8", "replace").strip())
        return path


class SpeakRows(RowStep):
    """Gives each row a sound: its text, spoken by one of some voices, drawn by the seed and the row's number.

    Args:
        texts: column of what is spoken.
        sounds: column that is made.
        voices: names that the program knows, variants among them: ``en-us``, ``en-gb+f3``, ``cmn``.
        speeds: least and most words per minute.
        pitches: least and most, from 0 to 99.
        longest: characters; a row with more is rejected.
        seconds: most that the program may take for a row.
        seed: of voice, speed and pitch.
    """

    def __init__(
        self,
        *,
        texts: str = "text",
        sounds: str = "sound",
        voices: Sequence[str] = ("en-us",),
        speeds: Sequence[int] = (150, 190),
        pitches: Sequence[int] = (40, 60),
        longest: int = 200,
        seconds: float = 20.0,
        seed: int = 0,
    ) -> None:
        for voice in voices:
            if not VOICE.fullmatch(voice):
                raise ConfigError(f"voices: `{voice}` is no name of a voice, such as en-us or en-gb+f3")
        low, high = pair_of(speeds, "speeds")
        if not voices or not SPEEDS[0] <= low <= high <= SPEEDS[1]:
            raise ConfigError(
                f"a voice, and speeds from {SPEEDS[0]} to {SPEEDS[1]} are wanted, found {list(speeds)}"
            )
        self.texts, self.sounds, self.voices = texts, sounds, list(voices)
        self.speeds, self.pitches = (int(low), int(high)), tuple(map(int, pair_of(pitches, "pitches")))
        self.longest, self.seconds, self.seed = longest, seconds, seed

    def needed(self, columns: Sequence[str]) -> list[str]:
        """See `RowStep.needed`."""
        return list(dict.fromkeys([self.texts, *(name for name in columns if name != self.sounds)]))

    def rows(self, records: Iterator[Record | Rejected]) -> Iterator[Record | Rejected]:
        """See `RowStep.rows`."""
        for number, record in enumerate(records):
            yield record if isinstance(record, Rejected) else self._spoken(record, number)

    def _spoken(self, record: Record, number: int) -> Record | Rejected:
        text = str(record.values.get(self.texts) or "").strip()
        if not text or len(text) > self.longest:
            reason = "text too long to be spoken" if text else "missing text"
            return Rejected(record.file, record.line, reason, text)
        chance = np.random.default_rng([self.seed, number])
        speed = int(chance.integers(self.speeds[0], self.speeds[1] + 1))
        pitch = int(chance.integers(self.pitches[0], self.pitches[1] + 1))
        voice = self.voices[int(chance.integers(len(self.voices)))]
        return beside(record, {self.sounds: Speech(text, voice, speed, pitch, self.seconds)})
