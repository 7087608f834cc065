"""A learner and a `Task` come in; an `Evaluation` goes out: counts of patients, intervals and the cases behind them."""
