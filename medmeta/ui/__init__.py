"""Pieces the pages share: workspace state comes in, Streamlit widgets go out."""
