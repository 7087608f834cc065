"""What kind of data a set holds, guessed from its name or its DICOM tags where nobody says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import MappingProxyType

from medmeta.scans.scan import Scan

#: Domain -> words that name it in a file's name; MedMNIST's stems (``pathmnist``) are among them.
WORDS = MappingProxyType(
    {
        "blood": ("blood", "smear"),
        "histology": ("histology", "histopathology", "pathology", "path", "wsi"),
        "microscopy": ("microscopy", "tissue"),
        "mri": ("mri", "mr"),
        "ct": ("ct", "organa", "organc", "organs"),
        "xray": ("xray", "cxr", "radiograph", "pneumonia", "chest"),
        "ultrasound": ("ultrasound", "us", "breast"),
        "dermatoscopy": ("dermatoscopy", "dermoscopy", "derma", "skin"),
        "fundus": ("fundus", "retina"),
        "oct": ("oct",),
        "endoscopy": ("endoscopy", "colonoscopy"),
    }
)
#: Domain of a DICOM Modality (0008,0060), PS3.3 C.7.3.1.1.1.
MODALITIES = MappingProxyType(
    {
        "MR": "mri",
        "CT": "ct",
        "CR": "xray",
        "DX": "xray",
        "RG": "xray",
        "MG": "mammography",
        "US": "ultrasound",
        "SM": "histology",
        "GM": "microscopy",
        "OP": "fundus",
        "OPT": "oct",
        "ES": "endoscopy",
        "PT": "pet",
    }
)


def domain_of(name: str, scans: Iterable[Scan] = ()) -> str:
    """Domain of a set: by a word in its name, else by the Modality all scans agree on, else the name itself.

    Words are what stands between anything but letters, with a final ``mnist`` taken off; the last word that is
    known decides (``chest_ct`` is ct).
    """
    words = re.findall(r"[a-z]+", re.sub(r"(?i)x[-_ ]ray", "xray", name).lower())
    for word in reversed(words):
        for domain, known in WORDS.items():
            if word in known or word.removesuffix("mnist") in known:
                return domain
    modalities = {scan.modality for scan in scans}
    if len(modalities) == 1:
        return MODALITIES.get(str(modalities.pop()), name)
    return name
