"""An `Evaluation` comes in; figures, tables, one self-contained HTML page and a PDF go out."""
