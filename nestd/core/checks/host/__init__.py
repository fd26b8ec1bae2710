# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checks of a host, one file per family: pure functions of a Situation.

validate lists them in display order; each returns a Finding, or None if it does not apply. Imports
core.modules. Begin with validate, then nested.
"""
