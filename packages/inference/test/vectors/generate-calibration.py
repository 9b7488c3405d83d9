"""Calibrations by scikit-learn, for calibration.vectors.test.ts.

    python3 generate-calibration.py > calibration.json        (written with scikit-learn 1.9.1, numpy as it came with it)

Platt scaling to the labels is LogisticRegression without a penalty; smoothed, and temperature scaling, are what
CalibratedClassifierCV uses; isotonic is IsotonicRegression.
"""

import json
import warnings

import numpy as np
import sklearn
from sklearn.calibration import _SigmoidCalibration, _TemperatureScaling
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")


def case(name, rows, slope, offset, step, seed):
    rng = np.random.default_rng(seed)
    z = np.round(rng.normal(0.3, 2.0, rows) / step) * step
    y = (rng.random(rows) < 1 / (1 + np.exp(-(slope * z + offset)))).astype(int)
    platt = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-13, max_iter=1000).fit(z[:, None], y)
    smoothed = _SigmoidCalibration().fit(z, y)
    temperature = _TemperatureScaling().fit(z, y)
    isotonic = IsotonicRegression(out_of_bounds="clip").fit(z, y)
    return {
        "name": name,
        "logits": [float(v) for v in z],
        "labels": [int(v) for v in y],
        "platt": {"slope": float(platt.coef_[0, 0]), "offset": float(platt.intercept_[0])},
        "smoothed": {"slope": -float(smoothed.a_), "offset": -float(smoothed.b_)},
        # two classes are scored as (-z, z), so beta multiplies 2 z
        "temperature": 1 / (2 * float(temperature.beta_)),
        "isotonic": [float(v) for v in isotonic.predict(z)],
    }


print(
    json.dumps(
        {
            "sklearn": sklearn.__version__,
            "cases": [
                case("too sure", 60, 0.5, -0.4, 0.01, 1),
                case("not sure enough", 80, 1.7, 0.8, 0.01, 2),
                case("many ties", 120, 0.8, 0.0, 0.5, 3),
                case("few patients", 24, 0.6, 0.3, 0.001, 4),
            ],
        }
    )
)
