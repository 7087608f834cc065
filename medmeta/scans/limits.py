"""Every budget an upload has to stay within, in one place."""

from __future__ import annotations

from dataclasses import dataclass

KIB, MIB, GIB = 2**10, 2**20, 2**30


@dataclass(frozen=True)
class Limits:
    """What one upload may cost. The defaults let a clinical multi-frame series through, not a bomb.

    Attributes:
        upload_bytes: bytes read from one whole upload, after unpacking ZIPs.
        upload_files: files in one upload, after unpacking ZIPs.
        file_bytes: bytes of one file.
        rows: rows of one image.
        columns: columns of one image.
        frames: frames of one file.
        decoded_bytes: bytes of one file's pixels once decoded.
        inflate_ratio: how far a deflated DICOM file or a ZIP entry may grow, beyond ``inflate_floor``.
        inflate_floor: bytes up to which growth is never questioned: blank images shrink a thousandfold.
        zip_entries: entries of one ZIP, folders and skipped files included.
        zip_bytes: bytes all entries of one ZIP may unpack to.
        labels_bytes: bytes of a ``labels.csv``.
        label_length: characters of a label or a group.
        decode_seconds: wall time one file may take to decode.
        worker_bytes: address space of the process that decodes (where the system can limit it).
    """

    upload_bytes: int = 8 * GIB
    upload_files: int = 20_000
    file_bytes: int = 512 * MIB
    rows: int = 20_000
    columns: int = 20_000
    frames: int = 4_000
    decoded_bytes: int = 512 * MIB
    inflate_ratio: int = 100
    inflate_floor: int = 32 * MIB
    zip_entries: int = 20_000
    zip_bytes: int = 8 * GIB
    labels_bytes: int = 16 * MIB
    label_length: int = 80
    decode_seconds: float = 60.0
    worker_bytes: int = 4 * GIB

    def inflated(self, stored: int, cap: int) -> int:
        """Bytes that ``stored`` compressed bytes may grow to, never above ``cap``."""
        return min(cap, max(self.inflate_floor, self.inflate_ratio * stored))


def in_words(count: int) -> str:
    """A number of bytes as people write it: ``512 MiB``."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
