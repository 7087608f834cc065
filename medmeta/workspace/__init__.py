"""Durable state: uploads and finished evaluations come in, tasks, jobs and saved runs go out.

Everything lives in one folder on this machine (SQLite plus files); nothing is sent anywhere.
"""
