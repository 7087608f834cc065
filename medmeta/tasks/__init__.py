"""Labelled scans and texts come in; checked `Task`s, folds that never split a patient, and tasks to train on go out."""
