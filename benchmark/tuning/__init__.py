"""Tuning: an Optuna study over one row of an experiment, on the road that a sweep takes.

ask -> RunSpec -> launcher -> RunRecord -> tell. `study_file` says what is searched, `search` turns Optuna's values
into key paths of a config, `strategies` names Optuna's samplers and pruners, `storage` holds the study, `driver`
runs it, `findings` reads its results and writes them, `promote` makes its best trial a row.
"""
