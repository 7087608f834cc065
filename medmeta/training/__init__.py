"""Meta-training: task distributions come in, a trained meta-model goes out."""
