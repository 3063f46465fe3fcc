# SPDX-License-Identifier: Apache-2.0
"""What was measured: one value for each server, figure and round."""

import statistics
from collections import defaultdict


class Results:
    def __init__(self):
        self._values = defaultdict(list)

    def add(self, server, figure, value):
        self._values[server, figure].append(value)

    def values(self, server, figure):
        return self._values[server, figure]

    def median(self, server, figure):
        return statistics.median(self.values(server, figure))

    def total(self, figure):
        """Of all servers and rounds."""
        return sum(sum(values) for (_, name), values in self._values.items() if name == figure)

    def ratios(self, server, other, figure):
        """One for each round: both servers had the same machine then."""
        pairs = zip(self.values(server, figure), self.values(other, figure), strict=True)
        return [a / b for a, b in pairs]

    def ratio(self, server, other, figure):
        return statistics.median(self.ratios(server, other, figure))

    def difference(self, server, other, figure):
        pairs = zip(self.values(server, figure), self.values(other, figure), strict=True)
        return statistics.median(a - b for a, b in pairs)


def number(value):
    """Three digits, as many as these measurements are worth; thousands with a comma."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def with_spread(values):
    """Median (smallest to largest)."""
    if len(values) == 1:
        return number(values[0])
    return f"{number(statistics.median(values))} ({number(min(values))} to {number(max(values))})"


def ratio_with_spread(ratios):
    middle = f"{statistics.median(ratios):.2f}"
    return middle if len(ratios) == 1 else f"{middle} ({min(ratios):.2f} to {max(ratios):.2f})"
