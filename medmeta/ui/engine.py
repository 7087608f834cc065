"""The model behind the pages: loaded once in the background, so that no page waits for it to open."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING

from medmeta.errors import MedMetaError
from medmeta.workspace.looks import Extractor, Looks

if TYPE_CHECKING:
    from medmeta.models.features import FeatureExtractor


class Engine:
    """Loads the shared feature extractor on first use; safe to call from any thread.

    Attributes:
        looks: how scans look to it, as far as they have been compared.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._extractor: FeatureExtractor | None = None
        self._problem: str | None = None
        self.looks = Looks(self._both)

    def extractor(self) -> FeatureExtractor:
        """The shared extractor; the first call takes seconds.

        Raises:
            ModelError: the shipped weights are missing or altered.
        """
        with self._lock:
            if self._extractor is None:
                # Imported here: a page opens without waiting for the numerical libraries.
                from medmeta.learners.registry import load_extractor

                self._extractor = load_extractor()
                self._problem = None
                # Streamlit collects garbage in full after every run of a page or fragment. Walking all that the
                # numerical libraries hold took most of the time of a job whose progress is watched: set it aside.
                gc.collect()
                gc.freeze()
            return self._extractor

    def warm_up(self) -> None:
        """Load in the background; a failure is kept for `problem` and tried again by the next job."""
        threading.Thread(target=self._load_quietly, name="medmeta-warm-up", daemon=True).start()

    @property
    def device(self) -> str | None:
        """Name of the device in use, or None while the model is being loaded."""
        return None if self._extractor is None else self._extractor.device_name

    @property
    def problem(self) -> str | None:
        """Why the model cannot be loaded, for the person; None when nothing is wrong."""
        return self._problem

    def _both(self) -> Extractor:
        from medmeta.models.twin import TwinExtractor

        return TwinExtractor.beside(self.extractor())

    def _load_quietly(self) -> None:
        try:
            self.extractor()
        except MedMetaError as error:
            self._problem = str(error)
        except (ImportError, OSError, RuntimeError) as error:
            self._problem = f"the model could not be loaded ({type(error).__name__}); see the workbench's log"
