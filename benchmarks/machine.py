"""The line every benchmark prints first: what ran where, when, and with which seed."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path

import torch


def processor() -> str:
    """Model name of the processor, where the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def describe(seed: int) -> str:
    """Processor, threads, versions, seed and date in one line."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{processor()}, {torch.get_num_threads()} threads{gpu}; Python {platform.python_version()}, "
        f"torch {torch.__version__}; seed {seed}; {datetime.now(UTC):%Y-%m-%d}"
    )
