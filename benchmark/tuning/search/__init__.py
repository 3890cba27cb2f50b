"""What is searched: from the study file's parameters to Optuna's suggestions, and on to key paths of a config."""
