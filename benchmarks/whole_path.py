"""The shell's whole path on real DICOM, as a new process each: intake, adapt, leave each patient out, save.

python -m benchmarks.whole_path --support ../shared/data/dicom/*.zip
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.machine import describe


def divided_groups(result: dict[str, Any], out: Path) -> int:
    """Cases whose nearest scans, all from what the model had adapted on, include one of their own patient."""
    group_of = {row["file"]: row["group"] for row in result["support_intake"]["accepted"]}
    cases = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["per_case"]
    return sum(
        any(group_of[near["file"]] == group_of[case["file"]] for near in case["nearest"]) for case in cases
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--support", nargs="+", type=Path, required=True)
    options = parser.parse_args()
    print(describe(seed=0))
    for source in options.support:
        with tempfile.TemporaryDirectory() as folder:
            out, answer = Path(folder) / "run", Path(folder) / "out.json"
            start = time.perf_counter()
            command = [sys.executable, "-m", "medmeta", "adapt", "--support", str(source)]
            subprocess.run(
                [*command, "--out", str(out), "--json", str(answer)], check=True, capture_output=True
            )
            seconds = time.perf_counter() - start
            result = json.loads(answer.read_text(encoding="utf-8"))
            intake, patients = result["support_intake"], result["patients"]
            syntaxes: dict[str, int] = defaultdict(int)
            for row in intake["accepted"]:
                syntaxes[row["transfer_syntax"]] += 1
            accepted, refused = len(intake["accepted"]), len(intake["rejected"])
            print(
                f"\n{source.name}: {accepted} of {accepted + refused} files accepted, {len(syntaxes)} syntaxes"
            )
            for syntax, count in sorted(syntaxes.items()):
                print(f"  {syntax:28} {count}")
            low, high = patients["interval"]
            print(
                f"  {patients['correct']} of {patients['n']} patients right, 95 % interval {low:.3f} to {high:.3f}"
            )
            print(f"  cases that leaned on their own patient: {divided_groups(result, out)}")
            for row in result["comparisons"]:
                print(f"  {row['learner']:28} {row['patients']['correct']} of {row['patients']['n']}")
            print(f"  adapting on all scans {result['seconds']:.1f} s, the whole command {seconds:.1f} s")


if __name__ == "__main__":
    main()
