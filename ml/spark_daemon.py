"""What Spark starts Python workers from (`spark.python.daemon.module`): its own daemon, quicker.

Spark puts archives on the workers' `sys.path`: pyspark's and py4j's sources, and its core jar. Each
task makes Python look anew at what may be imported, and Python then reads the directory of each
archive again, thousands of names, once for every package it holds: a second and more per task.
The packages are installed beside `ml`, so the archives are left out, unless they are all there is.

What scoring needs is imported here, once: the workers that Spark forks of this process share it.
"""

import importlib.util
import sys

_ARCHIVES = tuple(entry for entry in sys.path if entry.endswith((".jar", ".zip")))
sys.path[:] = [entry for entry in sys.path if entry not in _ARCHIVES]
for _entry in _ARCHIVES:
    sys.path_importer_cache.pop(_entry, None)
if importlib.util.find_spec("pyspark") is None:
    sys.path.extend(entry for entry in _ARCHIVES if entry.endswith(".zip"))

import shap  # noqa: E402, F401
from pyspark.daemon import manager  # noqa: E402

from ml import scoring  # noqa: E402, F401
from ml.tasks import estimators, explain  # noqa: E402, F401

if __name__ == "__main__":
    manager()
