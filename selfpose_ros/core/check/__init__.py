# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One check of what comes in, before anything is solved: units, image sizes, clocks, pictures; off line and live."""
from .clocks import clock_findings
from .finding import Finding, Kind, Verdict
from .pictures import PictureCheck
from .step import step_findings
from .views import ViewCheck, check_views, in_pixels

__all__ = ['Finding', 'Kind', 'PictureCheck', 'Verdict', 'ViewCheck', 'check_views', 'clock_findings', 'in_pixels',
           'step_findings']
