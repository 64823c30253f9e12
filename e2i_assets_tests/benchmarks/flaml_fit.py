"""Run by the interpreter of an environment with FLAML: a folder's `train.parquet` and `test.parquet` to `flaml.npz`."""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from flaml import AutoML

folder, task, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
train, test = (pd.read_parquet(folder / f"{name}.parquet") for name in ("train", "test"))
for frame in (train, test):
    for column in frame.select_dtypes(object):
        frame[column] = frame[column].astype("category")
start = time.process_time()
time.time = time.process_time  # its budget in seconds of CPU, whatever else runs here
automl = AutoML()
automl.fit(
    train.drop(columns="outcome"), train["outcome"], task=task, time_budget=seconds, n_jobs=1, seed=0, verbose=0,
    metric="roc_auc" if task == "classification" else "rmse",
)  # fmt: skip
prediction = automl.predict_proba(test)[:, 1] if task == "classification" else automl.predict(test)
np.savez(
    folder / "flaml.npz", prediction=np.asarray(prediction, dtype=float), cpu=time.process_time() - start
)
