"""Statistics over data that lies on many workers, over any `send` and `recv`, with the fewest bytes.

`World` wraps the two functions that there are; `run` starts workers where there are none yet.
"""

from penstock.exchange import processor as processor  # before numpy

# isort: split
from penstock.exchange.distinct import distinct
from penstock.exchange.histograms import Histogram, histogram
from penstock.exchange.mode import Mode, mode, top
from penstock.exchange.moments import Moments, moments
from penstock.exchange.quantiles import median, quantiles
from penstock.exchange.transports import run
from penstock.exchange.transports.simulator import simulate
from penstock.exchange.windows import Window
from penstock.exchange.world import Traffic, World

__all__ = [
    "Histogram",
    "Mode",
    "Moments",
    "Traffic",
    "Window",
    "World",
    "distinct",
    "histogram",
    "median",
    "mode",
    "moments",
    "quantiles",
    "run",
    "simulate",
    "top",
]
