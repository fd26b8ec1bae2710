# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checks of a host, one file for each family: pure functions of a Situation.

validate lists them in the order in which they are shown. Imports core.modules. Begin with
validate, then nested.
"""
