"""``python -m medmeta``."""

from medmeta.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
