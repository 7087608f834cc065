"""Model images come in, features and logits go out: backbones with their cards, views, closed-form heads.

Nothing here knows of files, patients or screens. New backbones are one file and one entry in
`backbones.CARDS`; weights are read only as safetensors, through `weights.load`.
"""
