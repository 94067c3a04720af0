"""Which processor is this, and does code that was compiled for another one run on it?"""

from __future__ import annotations

import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

_X86_SETS = re.compile(
    r"3dnow|abm|adx|aes|amx|avx|bmi|cx16|f16c|fma|gfni|movbe|pclmul|pni|popcnt|sha|sse|ssse|tbm|vaes|vpclmul|xop"
)
"""How the kernel's names of instruction sets begin that a compiler makes use of; its other flags tell of the system."""


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor as compiled code sees it.

    Attributes:
        system: As `Linux`.
        machine: As `x86_64`.
        name: The model's name; two machines of other names may run each other's code.
        instruction_sets: By the kernel's names, as `avx2`; empty where the system does not tell.
    """

    system: str
    machine: str
    name: str
    instruction_sets: frozenset[str]

    @classmethod
    def here(cls) -> Self:
        """The one that this process runs on."""
        facts = _facts(Path("/proc/cpuinfo"))
        flags = facts.get("flags", "").split()
        sets = [flag for flag in flags if _X86_SETS.match(flag)] if flags else facts.get("features", "").split()
        return cls(
            platform.system(),
            platform.machine(),
            facts.get("model name", "") or platform.processor() or platform.machine(),
            frozenset(sets),
        )

    def objection(self, other: Processor) -> str:
        """Why code compiled for this processor does not run on the `other`, in words; empty where it does."""
        mine, its = f"{self.system} {self.machine}", f"{other.system} {other.machine}"
        if mine != its:
            return f"it is for {mine}, and this is {its}"
        if lacking := sorted(self.instruction_sets - other.instruction_sets):
            return f"it is for {self.name} with {', '.join(lacking)}, which {other.name} lacks"
        if not self.instruction_sets and self.name != other.name:
            return f"it is for {self.name}, and this is {other.name}"
        return ""

    def document(self) -> dict[str, Any]:
        """JSON-compatible."""
        return asdict(self) | {"instruction_sets": sorted(self.instruction_sets)}

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> Self:
        """What `document` gave. Raises KeyError or TypeError for anything else."""
        return cls(**{**document, "instruction_sets": frozenset(document["instruction_sets"])})


def _facts(cpuinfo: Path) -> dict[str, str]:
    """The first core's lines, by lower-case name; none where the system has no such file."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    facts: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        facts.setdefault(name.strip().lower(), value.strip())
    return facts
