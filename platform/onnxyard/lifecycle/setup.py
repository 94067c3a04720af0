"""How a runtime is set up to run a model: what serving repeats, to give what was measured."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to run a model.

    Attributes:
        runtime: As `onnxruntime`.
        provider: Its execution provider or device, which really runs it: a silent fallback is an error.
        threads: Threads of one call; 0 lets the runtime choose.
        options: What differs from the runtime's defaults, by the names it declares, as `{"spinning": "off"}`.
    """

    runtime: str
    provider: str
    threads: int
    options: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        provider = "" if self.provider in {"CPU", "CPUExecutionProvider"} else f" {self.provider}"
        threads = f" {self.threads} thread{'s' if self.threads > 1 else ''}" if self.threads else ""
        told = "".join(f" {name}={value}" for name, value in sorted(self.options.items()))
        return f"{self.runtime}{provider}{threads}{told}"
