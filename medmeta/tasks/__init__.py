"""Labelled scans come in; checked `Task`s, folds that never split a patient and the sample task go out."""
