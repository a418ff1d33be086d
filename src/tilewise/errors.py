"""The exceptions of tilewise. Every message names the slide or field, and the next step.

```
TilewiseError
├── UsageError              wrong use: nothing was computed              exit code 2
│   ├── ArgumentError       an argument of a public function; also a ValueError and a TypeError
│   ├── RecipeError         unknown key, bad value, bad --set
│   ├── CohortError         layout not understood, table at fault
│   ├── FoldsError          the cohort cannot be split as asked
│   ├── DiskFull            a disk is full; what was computed is kept    exit code 1
│   ├── EncoderUnavailable  weights are missing or cannot be loaded
│   │   └── LicenceNotAccepted
│   └── PluginError         a plugin is missing or broken; names the package
├── SlideError              one slide failed; a batch names it and goes on
│   ├── SlideUnreadable
│   ├── SlideTooLarge
│   ├── SlideTimeout
│   ├── MaskError
│   │   └── MaskSizeError
│   └── NoTiles
├── ArtifactError           a file of a run is damaged, foreign or out of date
├── TrainingError           training could not go on (a non-finite loss, say)
└── BatchFailed             a batch ended, but some slides failed             exit code 1
```
"""

from __future__ import annotations


class TilewiseError(Exception):
    """Base of everything tilewise raises on purpose."""


class UsageError(TilewiseError):
    """The caller asked for something that cannot be; nothing was computed."""


class ArgumentError(UsageError, ValueError, TypeError):
    """An argument of a public function is of another type or value than expected; names both."""


class RecipeError(UsageError):
    """A recipe or a `--set` override is not valid; names the key."""


class CohortError(UsageError):
    """A cohort folder or table is not understood; names the file, row or column."""


class FoldsError(UsageError):
    """The cohort cannot be split as the recipe asks; names the class or group."""


class DiskFull(UsageError):
    """A disk is full: a batch stops at once, since the other slides would fail as well; names the folder."""


class EncoderUnavailable(UsageError):
    """An encoder cannot be built here; names the file to fetch and where to put it."""


class LicenceNotAccepted(EncoderUnavailable):
    """An encoder's licence has to be read and accepted first."""


class PluginError(UsageError):
    """A plugin is missing or broken, or gives something else than it should; names its package."""


class SlideError(TilewiseError):
    """One slide failed; a batch records it and goes on."""


class SlideUnreadable(SlideError):
    """The slide's file is missing, damaged or of a format nobody here reads."""


class SlideTooLarge(SlideError):
    """The slide holds more pixels than the reader may decode at once."""


class SlideTimeout(SlideError):
    """A slide took longer in a stage than `TILEWISE_SLIDE_TIMEOUT` allows; it was stopped."""


class MaskError(SlideError):
    """The slide's mask is missing, unreadable or of another size."""


class MaskSizeError(MaskError):
    """The slide's mask is of another size than the slide."""


class NoTiles(SlideError):
    """A slide yields no tile under the recipe's rules."""


class ArtifactError(TilewiseError):
    """A file of a run is damaged, foreign or made by another version."""


class TrainingError(TilewiseError):
    """Training could not go on; names fold, step and slides."""


class BatchFailed(TilewiseError):
    """A batch ran to its end but some slides failed; `failures.csv` names them."""
